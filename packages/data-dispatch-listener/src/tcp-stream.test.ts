import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import { pino } from 'pino';
import { samplesOf, startDatasetService } from './dataset-service.fixture.ts';
import { createDatasetSource } from './dataset-source.ts';
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
  async function linesOf(socket: Socket): Promise<Record<string, unknown>[]> {
    const lines = [];
    for await (const line of createInterface({ input: socket })) lines.push(JSON.parse(line));
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
    const service = await startDatasetService({ batches: 100, bytes: 75_000 });
    const source = createDatasetSource({ address: service.address, maxRetries: 5 });
    await start({ read: source.reader({ name: 'test', batchSize: 30 }), stallMs: 120_000 });
    // The first ten read as fast as they can; each other one takes a bit, and the rest when one before it has everything.
    const all: Promise<number[]>[] = [];
    for (const index of range(50)) all.push(indexesOf(open(), all[index - 10]));
    for (const indexes of await Promise.all(all)) assert.deepEqual(indexes, range(100));
    source.close();
    service.stop();
  });

  const known = new Map<number, string>();
  /** Each once: all readers get the same. */
  const expected = (index: number) =>
    known.getOrInsertComputed(index, () => samplesOf(index, 75_000).toString('base64'));

  /** The indexes of the lines, each of which has the samples of its batch; after the first bytes it awaits `turn`. */
  async function indexesOf(socket: Socket, turn: Promise<unknown> | undefined): Promise<number[]> {
    const indexes: number[] = [];
    let rest = '';
    // Unlike readline this reads no further than it is asked to.
    for await (const chunk of socket.setEncoding('latin1')) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const { batch_index: index, batch_data } = JSON.parse(line);
        assert.equal(batch_data[0], expected(index));
        indexes.push(index);
      }
      await turn;
    }
    return indexes;
  }

  it('reads no further than its reader does, drops one that stops, and holds up nobody else', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    await start({ stallMs: 20_000 });
    reads = 0;
    const stalled = open().pause();
    const closed = once(stalled, 'error');
    const served = once(logged, 'line');
    await once(stalled, 'connect');
    assert.equal((await linesOf(open())).length, 100);
    assert.equal((await served)[0].err, undefined);
    let dropped: { err?: { code: string } } | undefined;
    logged.once('line', (line) => {
      dropped = line;
    });
    // It is dropped by whichever line it does not take.
    for (let turns = 0; !dropped && turns < 1_000; turns += 1) {
      t.mock.timers.tick(20_000);
      await nextTurn();
    }
    t.mock.timers.reset();
    assert.equal(dropped?.err?.code, 'client-gone');
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
      new TerminalError('dataset-not-found', 'there is no such dataset'),
      { code: 'handler-failed', detail: 'there is no such dataset', error_code: 'dataset-not-found' },
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

  const sources: Record<string, { address?: string; fault?: status; code: string; logged: RegExp }> = {
    'that is not there': { address: '127.0.0.1:1', code: 'dataset-unavailable', logged: /127\.0\.0\.1:1/ },
    'whose name does not resolve': {
      address: 'dataset-generator.invalid:50061',
      code: 'dataset-unavailable',
      logged: /dataset-generator\.invalid/,
    },
    'that fails': { fault: status.INTERNAL, code: 'dataset-unavailable', logged: /as the test wants/ },
    'that refuses': { fault: status.INVALID_ARGUMENT, code: 'handler-failed', logged: /as the test wants/ },
    'that has no such dataset': {
      fault: status.NOT_FOUND,
      code: 'handler-failed',
      logged: /as the test wants/,
    },
  };
  for (const [name, { address, fault, code, logged: expected }] of Object.entries(sources))
    it(`tells nothing but what went wrong with a dataset service ${name}, and logs the rest`, async () => {
      const service = await startDatasetService({ batches: 1, bytes: 10 });
      service.setFault(fault);
      const source = createDatasetSource({ address: address ?? service.address, maxRetries: 0 });
      await start({ read: source.reader({ name: 'test', batchSize: 30 }) });
      const line = once(logged, 'line');
      const [{ error } = {}] = (await linesOf(open())) as { error?: Record<string, unknown> }[];
      assert.equal(error?.code, code);
      assert.doesNotMatch(JSON.stringify(error), /127\.0\.0\.1|generator|E[A-Z]{5,}|as the test wants/);
      assert.match((await line)[0].err.message, expected);
      source.close();
      service.stop();
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
