import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { readLines } from '../../bin/plain/read-lines.mjs';

describe('tcp-client', () => {
  it('reads a whole dataset, also slowly, and says how it was', async (t) => {
    const port = await serve(t, (socket) => socket.end(complete(3).join('')));
    const { code, stdout, stderr } = await run(t, '--port', port, '--delay-ms', '5', '--batches', '3');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /^client {4}client_1\.2\.3\.4:5$/m);
    assert.match(stdout, /^batches {3}3, in order, the last one flagged$/m);
    assert.match(stdout, /^data {6}0\.0 MB \(15 bytes\)$/m);
    assert.match(stdout, /^rate {6}[\d.]+ batches\/s, [\d.]+ MB\/s over [\d.]+ s$/m);
  });

  const faults: [string, string[], RegExp][] = [
    [
      'an error line',
      [line(0), '{"error":{"title":"Gone","detail":"the dataset is gone"}}\n'],
      /^the server gives up: the dataset is gone$/,
    ],
    ['a gap', [line(0), line(2)], /^batch 2 came when batch 1 was due$/],
    ['a repetition', [line(0), line(0)], /^batch 0 came twice$/],
    [
      'two names with different values',
      [line(0, { batch_index: 1 })],
      /^a batch has batch_id 0 and batch_index 1/,
    ],
    ['no base64', [line(0, { batch_data: ['?'] })], /^the data of batch 0 is not base64$/],
    [
      'no array of data',
      [line(0, { batch_data: 'YQ==' })],
      /^the batch_data of batch 0 is no array of one text$/,
    ],
    [
      'another client',
      [line(0), line(1, { client_id: 'x' })],
      /^batch 1 is for x, and the one before for client_/,
    ],
    [
      'what follows the last batch',
      [line(0, { EOF: true }), line(1)],
      /^batch 1 came after the last one, 0$/,
    ],
    ['an end without a last batch', [line(0)], /closed after 1 batches, without a last one$/],
    ['a line that is cut off', [line(0), '{"batch_id":1'], /^the last line is cut off after 13 bytes$/],
    ['what is not JSON', ['hello\n'], /^a line is not a JSON object: hello$/],
  ];
  for (const [what, lines, message] of faults) {
    it(`exits 1 with one line at ${what}`, async (t) => {
      const port = await serve(t, (socket) => socket.end(lines.join('')));
      await expectFailure(t, ['--port', port], message);
    });
  }

  it('tells a server that is silent, one that resets and none at all apart', async (t) => {
    const silent = await serve(t, (socket) => socket.write(line(0)));
    await expectFailure(t, ['--port', silent, '--timeout', '1'], /^nothing came for 1 s after 1 batches$/);
    const resetting = await serve(t, (socket) => socket.resetAndDestroy());
    await expectFailure(t, ['--port', resetting], /^the connection to localhost:\d+ broke: /);
    const unused = String(await freePort());
    await expectFailure(
      t,
      ['--port', unused, '--host', '127.0.0.1'],
      /^nothing listens at 127.0.0.1:\d+: is Waybill running\?$/,
    );
    await expectFailure(t, ['--port', 'x'], /^--port must be a whole number from 1 up and is x$/);
  });
});

describe('the lines it reads', () => {
  it('may be cut anywhere on their way', async () => {
    const bytes = Buffer.from('ä\nbc\n');
    const chunks = Array.from(bytes, (byte) => Buffer.from([byte]));
    assert.deepEqual(await collect(chunks), ['ä', 'bc']);
  });

  it('are of a bounded length, and UTF-8', async () => {
    await assert.rejects(
      collect([Buffer.from('12345'), Buffer.from('6789')], 8),
      /^Error: a line is longer than 8 bytes$/,
    );
    await assert.rejects(collect([Buffer.from([0xff, 10])]), /^Error: a line is not UTF-8$/);
  });
});

async function collect(chunks: Buffer[], maxBytes?: number): Promise<string[]> {
  async function* stream() {
    yield* chunks;
  }
  return Array.fromAsync(readLines(stream(), maxBytes));
}

function line(index: number, other: Record<string, unknown> = {}): string {
  const batch_data = [Buffer.from('batch').toString('base64')];
  const client_id = 'client_1.2.3.4:5';
  return `${JSON.stringify({ batch_id: index, batch_index: index, batch_data, client_id, EOF: false, ...other })}\n`;
}

function complete(count: number): string[] {
  return Array.from({ length: count }, (_, index) => line(index, { EOF: index === count - 1 }));
}

async function serve(t: TestContext, onClient: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onClient(socket);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

async function run(t: TestContext, ...args: string[]) {
  const child = spawn(process.execPath, ['bin/tcp-client.mjs', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

async function expectFailure(t: TestContext, args: string[], message: RegExp): Promise<void> {
  const { code, stdout, stderr } = await run(t, ...args);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(stderr.trimEnd(), message);
  assert.equal(stderr.split('\n').length, 2);
}
