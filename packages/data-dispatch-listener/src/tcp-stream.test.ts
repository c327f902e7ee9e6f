import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import { pino } from 'pino';
import type { ReadBatch } from './stream-batches.ts';
import { createTcpStream, type TcpStream } from './tcp-stream.ts';

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const base64 = Buffer.alloc(100_000, 'A');

describe('the TCP stream', () => {
  let stream: TcpStream;
  let reads = 0;
  const logged = new EventEmitter();
  const read: ReadBatch = async (index) => {
    reads += 1;
    return { index, isLast: index === 99, base64 };
  };
  async function start(options: Partial<Parameters<typeof createTcpStream>[0]> = {}): Promise<void> {
    const log = pino({}, { write: (line) => logged.emit('line', JSON.parse(line)) });
    const limits = { maxConnections: 100, stallMs: 20_000 };
    stream = await createTcpStream({ host: '127.0.0.1', port: 0, ...limits, read, log, ...options });
  }
  afterEach(() => stream.close());

  /** One whose dataset is over before the reader has read it. */
  const startSmall = () =>
    createTcpStream({
      host: '127.0.0.1',
      port: 0,
      maxConnections: 10,
      stallMs: 20_000,
      read: async (index) => ({ index, isLast: index === 3, base64 }),
      log: pino({ level: 'silent' }),
    });
  const open = () => connect({ port: stream.port, host: '127.0.0.1' });
  async function linesOf(socket: Socket, { delayed = false } = {}): Promise<Record<string, unknown>[]> {
    const lines = [];
    for await (const line of createInterface({ input: socket })) {
      lines.push(JSON.parse(line));
      if (delayed) await new Promise((resolve) => setImmediate(resolve));
    }
    return lines;
  }

  const codeOf = (line: Record<string, unknown> | undefined) =>
    (line?.error as { code: string } | undefined)?.code;

  it('sends each reader every batch from 0, under both names of the index, and closes after the last', async () => {
    await start();
    const socket = open();
    await once(socket, 'connect');
    const clientId = `client_127.0.0.1:${socket.localPort}`;
    const lines = await linesOf(socket);
    assert.deepEqual(
      lines.map(({ batch_id }) => batch_id),
      range(100),
    );
    assert.deepEqual(
      lines.map(({ batch_index }) => batch_index),
      range(100),
    );
    assert.deepEqual(
      lines.filter(({ EOF }) => EOF).map(({ batch_id }) => batch_id),
      [99],
    );
    assert.deepEqual(lines[99]?.batch_data, [base64.toString()]);
    assert.ok(lines.every(({ client_id }) => client_id === clientId));
  });

  it('serves 50 readers at different speeds at once', async () => {
    await start();
    const all = await Promise.all(range(50).map((index) => linesOf(open(), { delayed: index % 2 === 0 })));
    for (const lines of all)
      assert.deepEqual(
        lines.map(({ batch_id }) => batch_id),
        range(100),
      );
  });

  it('reads no further than its reader does, drops one that stops, and holds up nobody else', async () => {
    await start({ stallMs: 300 });
    reads = 0;
    const stalled = open().pause();
    const closed = once(stalled, 'error');
    const dropped = once(logged, 'line');
    await once(stalled, 'connect');
    assert.equal((await linesOf(open())).length, 100);
    const lines = [await dropped, await once(logged, 'line')].flat();
    assert.deepEqual(
      lines.map(({ err }) => err?.code),
      [undefined, 'client-gone'],
    );
    stalled.resume();
    assert.equal((await closed)[0].code, 'ECONNRESET');
    assert.ok(reads < 200, `${reads} batches were read for both`);
  });

  it('serves a reader that has closed its own side, and one that sends what nobody asked for', async () => {
    await start();
    const [half, noisy] = [open(), open()];
    half.end();
    noisy.write('GET / HTTP/1.1\r\n\r\n'.repeat(1_000));
    assert.equal((await linesOf(half)).length, 100);
    assert.equal((await linesOf(noisy)).length, 100);
  });

  const faults: Record<string, [error: Error, problem: Record<string, unknown>]> = {
    'no such dataset': [
      new TerminalError('dataset-not-found', 'Dataset not found'),
      { code: 'handler-failed', detail: 'Dataset not found', error_code: 'dataset-not-found' },
    ],
    'a dataset service that does not answer': [
      new AppError('dataset-unavailable', 'the dataset service does not answer'),
      { code: 'dataset-unavailable', detail: 'the dataset service does not answer' },
    ],
    'an error nobody foresaw': [new Error('the secret internals'), { code: 'unexpected', detail: undefined }],
  };
  for (const [name, [error, expected]] of Object.entries(faults))
    it(`tells a reader of ${name} in a last line`, async () => {
      await start({
        async read(index) {
          if (index < 3) return { index, isLast: false, base64 };
          throw error;
        },
      });
      const lines = await linesOf(open());
      assert.equal(lines.length, 4);
      const problem = lines[3]?.error as Record<string, unknown>;
      for (const [member, value] of Object.entries(expected)) assert.equal(problem[member], value);
    });

  const untilStopped: ReadBatch = async (_index, signal) => {
    await once(signal, 'abort');
    throw signal.reason;
  };

  it('outlives a reader that resets while the last lines are on their way', async () => {
    await start();
    const done = once(logged, 'line');
    const socket = open().pause();
    await once(socket, 'connect');
    socket.read();
    const small = await startSmall();
    const reader = connect({ port: small.port, host: '127.0.0.1' });
    await once(reader, 'data');
    reader.resetAndDestroy();
    socket.resetAndDestroy();
    await done;
    assert.equal((await linesOf(open())).length, 100);
    await small.close();
  });

  it('does not count those it refuses, and lets nobody in while it is full', async () => {
    await start({ maxConnections: 1, read: untilStopped });
    const first = open();
    await once(first, 'connect');
    const refused = await Promise.all(range(20).map(() => linesOf(open())));
    assert.deepEqual([...new Set(refused.map(([line]) => codeOf(line)))], ['not-accepted']);
    first.destroy();
  });

  it('tells one reader too many so', async () => {
    await start({ maxConnections: 1, read: untilStopped });
    const first = open();
    await once(first, 'connect');
    const [line] = await linesOf(open());
    assert.equal(codeOf(line), 'not-accepted');
    first.destroy();
  });

  it('tells readers that are not done when the process stops', async () => {
    await start({
      read: (index, signal) =>
        index < 2 ? Promise.resolve({ index, isLast: false, base64 }) : untilStopped(index, signal),
    });
    const lines = linesOf(open());
    const late = open();
    await once(late, 'connect');
    late.destroy();
    await stream.close();
    assert.equal(codeOf((await lines)[2]), 'not-accepted');
  });
});
