import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brokerAddresses, isAllowedBroker } from './broker-address.ts';
import { loadConfig } from './config.ts';

function read(text: string) {
  return loadConfig({ X: brokerAddresses() }, { X: text }).X;
}

describe('brokerAddresses', () => {
  test('reads names, IPv4 and IPv6 with a port or 5672, in lower case', () => {
    assert.deepEqual(read('RabbitMQ:5673, 127.0.0.1 ,[::1]:5672,[FE80::1],my_broker.Example.com:1'), [
      { host: 'rabbitmq', port: 5673 },
      { host: '127.0.0.1', port: 5672 },
      { host: '::1', port: 5672 },
      { host: 'fe80::1', port: 5672 },
      { host: 'my_broker.example.com', port: 1 },
    ]);
  });

  test('refuses everything else without repeating it', () => {
    const wrong = ['a:0', 'a:65536', 'a:', ':5672', '::1', '[a]:1', '[::1%lo]:1', 'a b', 'a.', '-a', 'a/b'];
    for (const text of [...wrong, 'amqp://guest:canary@host:5672', 'user@host:1', 'host:1:2', 'ä:1', '*'])
      assert.throws(
        () => read(text),
        ({ message }: Error) => /give host:port/.test(message) && !message.includes('canary'),
        text,
      );
  });
});

describe('isAllowedBroker', () => {
  const allowed = read('localhost:5672,127.0.0.1:5673,[::1]:5672,kilo:5672');

  test('allows the very host and port, in any case', () => {
    for (const [host, port] of [
      ['localhost', 5672],
      ['LocalHost', 5672],
      ['127.0.0.1', 5673],
      ['::1', 5672],
      ['KILO', 5672],
    ] as const)
      assert.ok(isAllowedBroker(allowed, { host, port }), `${host}:${port}`);
  });

  test('refuses another port, and a host that is on the list with another', () => {
    assert.ok(!isAllowedBroker(allowed, { host: 'localhost', port: 5673 }));
    assert.ok(!isAllowedBroker(allowed, { host: '127.0.0.1', port: 5672 }));
    assert.ok(!isAllowedBroker(allowed, { host: 'localhost', port: '5672' as unknown as number }));
    assert.ok(!isAllowedBroker([], { host: 'localhost', port: 5672 }));
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
      assert.ok(!isAllowedBroker(allowed, { host, port: 5672 }), JSON.stringify(host));
    for (const host of [undefined, 7, ['localhost'], { toLowerCase: () => 'localhost' }])
      assert.ok(!isAllowedBroker(allowed, { host: host as string, port: 5672 }));
  });
});
