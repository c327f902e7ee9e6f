import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadConfig } from '../config.ts';
import { allowedBrokerOf, brokerAddresses, findAllowedBroker } from './broker-address.ts';

function read(text: string) {
  return loadConfig({ X: brokerAddresses() }, { X: text }).X;
}

describe('brokerAddresses', () => {
  test('reads names, IPv4 and IPv6 with a port or 5672, in lower case', () => {
    assert.deepEqual(read('RabbitMQ:5673, 127.0.0.1 ,[::1]:5672,[FE80::1],my_broker.Example.com:1'), [
      { host: 'rabbitmq', port: 5673, isTls: false },
      { host: '127.0.0.1', port: 5672, isTls: false },
      { host: '::1', port: 5672, isTls: false },
      { host: 'fe80::1', port: 5672, isTls: false },
      { host: 'my_broker.example.com', port: 1, isTls: false },
    ]);
  });

  test('reads those with TLS, on a port or 5671', () => {
    assert.deepEqual(read('amqps://RabbitMQ, amqps://[::1]:5673'), [
      { host: 'rabbitmq', port: 5671, isTls: true },
      { host: '::1', port: 5673, isTls: true },
    ]);
  });

  test('refuses everything else without repeating it', () => {
    const wrong = ['a:0', 'a:65536', 'a:', ':5672', '::1', '[a]:1', '[::1%lo]:1', 'a b', 'a.', '-a', 'a/b'];
    const urls = [
      'amqp://guest:canary@host:5672',
      'amqps://guest:canary@host',
      'amqps://host/',
      'AMQPS://host',
    ];
    for (const text of [...wrong, ...urls, 'amqp://host', 'user@host:1', 'host:1:2', 'ä:1', '*'])
      assert.throws(
        () => read(text),
        ({ message }: Error) => /give host:port/.test(message) && !message.includes('canary'),
        text,
      );
  });
});

test('brokerAddresses refuses the same broker with TLS and without', () => {
  assert.throws(() => read('mq:5671,amqps://MQ'), /listed with and without amqps/);
  assert.equal(read('mq,mq,amqps://mq').length, 3);
});

describe('findAllowedBroker', () => {
  const allowed = read('localhost:5672,127.0.0.1:5673,[::1]:5672,kilo:5672');

  test('allows the very host and port, in any case', () => {
    for (const [host, port] of [
      ['localhost', 5672],
      ['LocalHost', 5672],
      ['127.0.0.1', 5673],
      ['::1', 5672],
      ['KILO', 5672],
    ] as const)
      assert.ok(findAllowedBroker(allowed, { host, port }), `${host}:${port}`);
  });

  test('refuses another port, and a host that is on the list with another', () => {
    assert.ok(!findAllowedBroker(allowed, { host: 'localhost', port: 5673 }));
    assert.ok(!findAllowedBroker(allowed, { host: '127.0.0.1', port: 5672 }));
    assert.ok(!findAllowedBroker(allowed, { host: 'localhost', port: '5672' as unknown as number }));
    assert.ok(!findAllowedBroker([], { host: 'localhost', port: 5672 }));
  });

  test('refuses every other way to write a host', () => {
    const hosts = [
      'localhost.',
      ' localhost',
      'localhost ',
      'localhost\n',
      'localhost\0',
      'user@localhost',
      'localhost/?heartbeat=0',
      'localhost:5672',
      'localhost#',
      'localhost%2e',
      'evil.localhost',
      'localhost.evil',
      '[::1]',
      '::1%lo',
      '0:0:0:0:0:0:0:1',
      '::ffff:127.0.0.1',
      '2130706433',
      '0x7f.1',
      '127.1',
      '\u212Ailo', // the Kelvin sign, which lower case turns into k
      'ｌocalhost',
      '',
    ];
    for (const host of hosts)
      assert.ok(!findAllowedBroker(allowed, { host, port: 5672 }), JSON.stringify(host));
    for (const host of [undefined, 7, ['localhost'], { toLowerCase: () => 'localhost' }])
      assert.ok(!findAllowedBroker(allowed, { host: host as string, port: 5672 }));
  });
});

describe('allowedBrokerOf', () => {
  test('is the broker of a URL as it would stand on the list', () => {
    for (const [url, item] of [
      ['amqp://guest:guest@RabbitMQ/vhost', 'rabbitmq:5672'],
      ['amqp://[::1]:5673', '[::1]:5673'],
      ['amqps://user:pass@host', 'amqps://host:5671'],
      ['amqps://127.0.0.1:5673', 'amqps://127.0.0.1:5673'],
    ] as const)
      assert.deepEqual([allowedBrokerOf(url)], read(item));
  });
});
