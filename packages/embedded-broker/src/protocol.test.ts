import assert from 'node:assert/strict';
import { once } from 'node:events';
import { it } from 'node:test';
import { onBothBrokers } from './both-brokers.fixture.ts';
import { BODY_FRAME, HEADER_FRAME, HEARTBEAT_FRAME, METHOD_FRAME } from './codec/frames.ts';
import {
  bye,
  connectRaw,
  frame,
  type Greeting,
  greet,
  openRaw,
  PROTOCOL_HEADER,
  type RawClient,
} from './raw-client.fixture.ts';

const publishFields = { reserved1: 0, exchange: '', routingKey: 'k', mandatory: false, immediate: false };
const header = (size: number) => frame(HEADER_FRAME, 1, [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, size, 0, 0]);

/** Not `isTold`: RabbitMQ keeps the client waiting for 3 s and hangs up. */
const greetings: { title: string; greeting: Greeting; code: number; isTold: boolean }[] = [
  { title: 'a wrong password', greeting: { password: 'wrong' }, code: 403, isTold: true },
  { title: 'an unknown user', greeting: { user: 'constructor' }, code: 403, isTold: true },
  { title: 'an unknown mechanism', greeting: { mechanism: 'TELEPATHY' }, code: 503, isTold: false },
  { title: 'a virtual host that is not there', greeting: { vhost: 'missing' }, code: 530, isTold: true },
  { title: 'a frame size that is too small', greeting: { frameMax: 4_095 }, code: 530, isTold: false },
  { title: 'a frame size over its own', greeting: { frameMax: 131_073 }, code: 530, isTold: false },
  { title: 'more channels than it allows', greeting: { channelMax: 2_048 }, code: 530, isTold: false },
];

const faults: { title: string; code: number; write(client: RawClient): void }[] = [
  {
    title: 'a frame without its end octet',
    code: 501,
    write: (client) => client.write(frame(METHOD_FRAME, 1, [0, 20, 0, 40], 0)),
  },
  {
    title: 'a frame over the agreed size',
    code: 501,
    write: (client) => client.write(frame(BODY_FRAME, 1, Buffer.alloc(131_073))),
  },
  {
    title: 'a method on a channel that is not open',
    code: 504,
    write: (client) => client.send(7, 'basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false }),
  },
  {
    title: 'a channel opened twice',
    code: 504,
    write: (client) => client.send(1, 'channel.open', { reserved1: '' }),
  },
  {
    title: 'another method where content is due',
    code: 505,
    write(client) {
      client.send(1, 'basic.publish', publishFields);
      client.send(1, 'basic.qos', { prefetchSize: 0, prefetchCount: 1, global: false });
    },
  },
  { title: 'a header without a publish', code: 505, write: (client) => client.write(header(1)) },
  { title: 'a body without a header', code: 505, write: (client) => client.write(frame(BODY_FRAME, 1, [1])) },
  {
    title: 'a header of another class',
    code: 505,
    write(client) {
      client.send(1, 'basic.publish', publishFields);
      client.write(frame(HEADER_FRAME, 1, [0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    },
  },
  {
    title: 'immediate',
    code: 540,
    write(client) {
      client.send(1, 'basic.publish', { ...publishFields, immediate: true });
      client.write(header(0));
    },
  },
  {
    title: 'a prefetch size',
    code: 540,
    write: (client) => client.send(1, 'basic.qos', { prefetchSize: 1, prefetchCount: 0, global: false }),
  },
  {
    title: 'recovery without requeueing',
    code: 540,
    write: (client) => client.send(1, 'basic.recover', { requeue: false }),
  },
  {
    title: 'stopping the flow',
    code: 540,
    write: (client) => client.send(1, 'channel.flow', { active: false }),
  },
];

onBothBrokers('the protocol', (_, url) => {
  it('is named to a client that speaks another', async (t) => {
    const client = await connectRaw(url(), t);
    client.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    const [answer] = await once(client.socket, 'data');
    // RabbitMQ 4 names AMQP 1.0, and speaks both.
    const names = [PROTOCOL_HEADER, Buffer.from('AMQP\x03\x01\x00\x00', 'latin1')];
    assert.ok(
      names.some((name) => name.equals(answer)),
      String(answer),
    );
  });

  it('opens by AMQPLAIN as well', async (t) => {
    const client = await connectRaw(url(), t);
    const response = Buffer.from('\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest', 'latin1');
    await greet(client, url(), { mechanism: 'AMQPLAIN', response });
    await client.until('connection.open-ok');
  });

  for (const { title, greeting, code, isTold } of greetings)
    it(`closes with ${code} for ${title}`, async (t) => {
      const client = await connectRaw(url(), t);
      await greet(client, url(), greeting);
      let last = await client.next();
      while (last && last.name !== 'connection.close') last = await client.next();
      if (isTold || last) assert.equal(last?.fields.replyCode, code);
    });

  it('hangs up on a wrong password without a word to a client that would not understand', async (t) => {
    const client = await connectRaw(url(), t);
    await greet(client, url(), { password: 'wrong', capabilities: [] });
    const names = (await client.rest()).map(({ name }) => name);
    assert.deepEqual(names, ['connection.start']);
  });

  for (const { title, code, write } of faults)
    it(`closes the connection with ${code} for ${title}`, async (t) => {
      const client = await openRaw(url(), t);
      write(client);
      assert.equal((await client.until('connection.close')).replyCode, code);
      client.send(0, 'connection.close-ok', {});
      assert.deepEqual(await client.rest(), []);
    });

  it('names the method that a channel is closed for, and passes over what still comes on it', async (t) => {
    const client = await openRaw(url(), t);
    const declare = {
      reserved1: 0,
      queue: 'missing',
      passive: true,
      durable: false,
      exclusive: false,
      autoDelete: false,
      noWait: false,
      arguments: new Map(),
    };
    client.send(1, 'queue.declare', declare);
    client.send(1, 'queue.declare', declare);
    client.send(1, 'basic.publish', publishFields);
    client.write(header(0));
    const { replyCode, replyText, classId, methodId } = await client.until('channel.close');
    assert.deepEqual([replyCode, classId, methodId], [404, 50, 10]);
    assert.match(replyText, /^NOT_FOUND - no queue 'missing' in vhost /);
    client.send(1, 'channel.close-ok', {});
    client.send(1, 'channel.open', { reserved1: '' });
    assert.equal((await client.next())?.name, 'channel.open-ok');
  });

  it('goes on after both sides closed a channel at once', async (t) => {
    const client = await openRaw(url(), t);
    client.send(1, 'basic.ack', { deliveryTag: 9, multiple: false });
    client.send(1, 'channel.close', bye);
    await client.until('channel.close');
    await client.until('channel.close-ok');
    client.send(1, 'channel.close-ok', {});
    client.send(2, 'channel.open', { reserved1: '' });
    assert.equal((await client.next())?.name, 'channel.open-ok');
  });

  it('answers a close of the connection, and leaves the end of TCP to the client', async (t) => {
    const client = await openRaw(url(), t);
    client.send(0, 'connection.close', bye);
    assert.equal((await client.next())?.name, 'connection.close-ok');
    // An end that was sent behind the answer is here before another client has been answered so often.
    await openRaw(url(), t);
    assert.equal(client.socket.readableEnded, false);
    client.socket.end();
    assert.deepEqual(await client.rest(), []);
  });

  it('takes a new secret, and goes on', async (t) => {
    const client = await openRaw(url(), t);
    client.send(0, 'connection.update-secret', { newSecret: Buffer.from('new'), reason: 'it was time' });
    assert.equal((await client.next())?.name, 'connection.update-secret-ok');
    client.send(2, 'channel.open', { reserved1: '' });
    assert.equal((await client.next())?.name, 'channel.open-ok');
  });

  it('beats the heart of an idle connection, and gives up a client that does not', async (t) => {
    const client = await openRaw(url(), t, { heartbeat: 1 });
    const beats: number[] = [];
    client.socket.on('data', (chunk) => beats.push(Number(chunk[0])));
    await client.rest();
    assert.ok(beats.length >= 2 && beats.every((type) => type === HEARTBEAT_FRAME), String(beats));
  });

  it('lives as long as the client beats', async (t) => {
    const client = await openRaw(url(), t, { heartbeat: 1 });
    let beats = 0;
    client.socket.on('data', () => {
      beats += 1;
      client.write(frame(HEARTBEAT_FRAME, 0, []));
    });
    while (beats < 8) await once(client.socket, 'data');
    client.send(2, 'channel.open', { reserved1: '' });
    assert.equal((await client.next())?.name, 'channel.open-ok');
  });
});
