import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, before, describe, it, type TestContext } from 'node:test';
import { eventually } from './eventually.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

describe('a TCP proxy before an echo server', () => {
  const received: number[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      received.push(chunk.length);
      socket.write(chunk);
    });
    socket.on('end', () => socket.end());
  });
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(() => server.close());

  it('passes bytes and ends both ways', async (t) => {
    const client = await connected(await proxy(t));
    client.end('hello');

    assert.equal(await text(client), 'hello');
  });

  it('tears what is sent into single bytes', async (t) => {
    const proxied = await proxy(t);
    proxied.setFault({ sliceBytes: 1 });
    received.length = 0;
    const client = await connected(proxied);
    client.end('hello');

    assert.equal(await text(client), 'hello');
    assert.ok(received.length >= 3, `${received}`);
  });

  it('carries no more than so many bytes per second, and the rest at once when that ends', async (t) => {
    const proxied = await proxy(t);
    const fault = { bytesPerS: 1_000 as number | undefined };
    proxied.setNextFault(fault);
    received.length = 0;
    const client = await connected(proxied);
    const startedMs = performance.now();
    client.write(Buffer.alloc(100_000));
    await eventually(() => assert.ok(sum(received) >= 300));
    assert.ok(performance.now() - startedMs >= 250);
    assert.ok(sum(received) < 100_000);
    fault.bytesPerS = undefined;
    client.end();

    assert.equal((await text(client)).length, 100_000);
  });

  it('drops one way and not the other, for one connection only, and heals', async (t) => {
    const proxied = await proxy(t);
    const fault: { drop?: 'to-client' } = { drop: 'to-client' };
    proxied.setNextFault(fault);
    const [dropped, other] = [await connected(proxied), await connected(proxied)];
    received.length = 0;

    dropped.write('lost');
    await eventually(() => assert.deepEqual(received, [4]));
    other.end('kept');
    assert.equal(await text(other), 'kept');
    fault.drop = undefined;
    dropped.end('healed');

    assert.equal(await text(dropped), 'healed');
  });

  it('resets after so many bytes, and whenever asked', async (t) => {
    const proxied = await proxy(t);
    proxied.setNextFault({ resetAfterBytes: 3 });
    const [early, late] = [await connected(proxied), await connected(proxied)];

    early.write('hello');
    const [first] = await once(early, 'data');
    assert.equal(String(first), 'hel');
    await assert.rejects(text(early), { code: 'ECONNRESET' });
    proxied.reset();
    await assert.rejects(text(late), { code: 'ECONNRESET' });
    await eventually(() => assert.equal(proxied.open(), 0));
    assert.equal(proxied.accepted(), 2);
  });

  async function proxy(t: TestContext): Promise<TcpProxy> {
    const { port } = server.address() as AddressInfo;
    const started = await startTcpProxy({ target: `tcp://127.0.0.1:${port}` });
    t.after(() => started.close());
    return started;
  }
});

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function connected({ port }: TcpProxy): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

async function text(socket: Socket): Promise<string> {
  const chunks = await socket.toArray();
  return Buffer.concat(chunks).toString();
}
