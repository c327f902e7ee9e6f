import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createClient } from './create-client.ts';
import { openEventStreamLink } from './event-stream-link.ts';

const ENTRIES = 5;

/** A stream of all the entries behind a token, which then ends. */
function streamOf(url: URL): string {
  const [, offset = '0'] = (url.searchParams.get('after') ?? '').split('.');
  const entries = Array.from({ length: ENTRIES }, (_, index) => `e.${index + 1}`).slice(Number(offset));
  const data = entries.map((token) => JSON.stringify({ id: token, type: 'Done', data: {}, token }));
  return ['retry: 1', ...data.map((each) => `data: ${each}`), ''].join('\n\n');
}

/** A server that knows no WebSockets; `afters` are the places from which its streams were asked for. */
async function serve(t: TestContext) {
  const afters: (string | null)[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://server');
    if (!url.pathname.endsWith('/events')) return response.end('[]');
    afters.push(url.searchParams.get('after'));
    return response.writeHead(200, { 'content-type': 'text/event-stream' }).end(streamOf(url));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { afters, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('a link by Server-Sent Events', () => {
  it('asks for the next stream when all of the one before is done with, so that nothing comes twice', async (t) => {
    const { afters, url } = await serve(t);
    const begun: string[] = [];
    const connection = createClient({ url }).connect({
      client: 'slow',
      async onEvent({ token }) {
        begun.push(token);
        await pause(20);
      },
    });
    await eventually(() => assert.ok(afters.length >= 3));
    await connection.close();
    assert.deepEqual(begun, ['e.1', 'e.2', 'e.3', 'e.4', 'e.5']);
    assert.deepEqual(afters.slice(0, 3), [null, 'e.5', 'e.5']);
  });

  it('asks for the next one all the same when the client is not done after 5 s, as it may wait for an answer', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const asked: URL[] = [];
    t.mock.method(globalThis, 'fetch', async (url: URL) => {
      asked.push(url);
      return new Response(streamOf(url));
    });
    const waits = Promise.withResolvers<void>();
    const link = openEventStreamLink({
      origin: 'http://server',
      client: 'held',
      headers: {},
      after: () => undefined,
      settled() {
        waits.resolve();
        return new Promise(() => {});
      },
      onOpen() {},
      onMessage() {},
    });
    while (!(await isResolved(waits.promise))) t.mock.timers.tick(1);
    t.mock.timers.tick(4_000);
    await new Promise(setImmediate);
    assert.equal(asked.length, 1);
    t.mock.timers.tick(1_000);
    await new Promise(setImmediate);
    assert.equal(asked.length, 2);
    await link.close();
  });

  it('is lost when no stream has begun within 10 s', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    t.mock.method(
      globalThis,
      'fetch',
      (_url: URL, { signal }: { signal: AbortSignal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    const link = openEventStreamLink({
      origin: 'http://server',
      client: 'unheard',
      headers: {},
      after: () => undefined,
      settled: async () => {},
      onOpen: () => assert.fail('it is open'),
      onMessage() {},
    });
    t.mock.timers.tick(10_000);
    assert.deepEqual(await link.ended, { kind: 'lost' });
  });
});

/** Whether it has, a turn of the event loop later. */
async function isResolved(promise: Promise<void>): Promise<boolean> {
  return Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setImmediate(resolve, false)),
  ]);
}
