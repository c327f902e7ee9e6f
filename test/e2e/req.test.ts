import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '@waybill/test-harness/free-port.ts';

describe('req', () => {
  it('sends a PingRequest and prints the answer, both latencies and the trace id', async (t) => {
    const received: PlainEvent[] = [];
    const url = await serve(t, async (request, response) => {
      assert.equal(request.headers['content-type'], 'application/json');
      const event = await readEvent(request);
      received.push(event);
      const data = { ...event.data, receivedAt: event.data.sentAt + 7 };
      response.setHeader('traceresponse', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
      response.end(JSON.stringify({ id: event.id, type: 'PingResponse', data }));
    });

    const { code, stdout, stderr } = await req('--url', url);

    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    const [event] = received;
    assert.equal(event?.type, 'PingRequest');
    assert.match(stdout, new RegExp(`"id": "${event?.id}"`));
    assert.match(stdout, /^Response received at 7 ms$/m);
    assert.match(stdout, /^Roundtrip time \d+\.\d ms$/m);
    assert.match(stdout, /^trace id: a{32}$/m);
  });

  it('sends data as it is given, and none where none is', async (t) => {
    const received: unknown[] = [];
    const url = await serve(t, async (request, response) => {
      const { id, ...event } = await readEvent(request);
      received.push(event);
      response.end('{}');
    });
    await req('--url', url, '--data', '{"note":"hello"}');
    await req('--url', url, '--data', 'null');
    await req('--url', url, '--type', 'Order.List');
    await req('Order.List', '--url', url, '--data', '{}');
    assert.deepEqual(received, [
      { type: 'PingRequest', data: { note: 'hello' } },
      { type: 'PingRequest', data: null },
      { type: 'Order.List' },
      { type: 'Order.List', data: {} },
    ]);
  });

  it('says so when there is no trace', async (t) => {
    const url = await serve(t, (_, response) => response.end('{"data":null}'));
    const { code, stdout } = await req('--url', url);
    assert.equal(code, 0);
    assert.doesNotMatch(stdout, /Response received/);
    assert.match(stdout, /^trace id: none \(telemetry is off\)$/m);
  });

  it('takes an answer without content for what it is', async (t) => {
    const url = await serve(t, (_, response) => response.writeHead(204).end());
    const { code, stdout, stderr } = await req('Stock.Take', '--url', url);
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /^handled, and answered without content \(204\)\nRoundtrip time /);
    const many = await req('Stock.Take', '--url', url, '--count', '2');
    assert.match(many.stdout, /^ok {6}2\nfailed {2}0\n/);
  });

  it('sums up many requests and counts failures by status', async (t) => {
    let calls = 0;
    const url = await serve(t, (_, response) => {
      response.statusCode = ++calls % 5 === 0 ? 503 : 200;
      response.end('{"title":"Not now"}');
    });
    const { code, stdout, stderr } = await req('--url', url, '--count', '20', '--concurrency', '4');
    assert.equal(calls, 20);
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^ok {6}16\nfailed {2}4 × 503\nlatency p50 .* ms, p95 .* ms, max .* ms\nrate {4}.* ok\/s/,
    );
    assert.equal(stderr, 'the first failure: 503 Not now\n');
  });

  it('shows the title, the detail and the code of a problem', async (t) => {
    const url = await serve(t, (_, response) => {
      response.statusCode = 404;
      response.setHeader('traceresponse', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`);
      response.end(JSON.stringify({ title: 'No listener', detail: 'nobody takes Nope', code: 'unroutable' }));
    });
    await expectFailure(
      ['--url', url, '--type', 'Nope'],
      `404 No listener: nobody takes Nope (unroutable), trace id ${'a'.repeat(32)}`,
    );
  });

  it('names the variable of the API key when one is needed', async (t) => {
    const url = await serve(t, (_, response) => {
      response.statusCode = 401;
      response.end(JSON.stringify({ title: 'The credentials are missing', code: 'unauthorized' }));
    });
    const message = '401 The credentials are missing (unauthorized); set WAYBILL_API_KEY to your API key';
    await expectFailure(['--url', url], message);
  });

  it('shows where the data is wrong', async (t) => {
    const url = await serve(t, (_, response) => {
      response.statusCode = 422;
      const errors = [
        { pointer: '#/sku', detail: 'must be string' },
        { pointer: '#', detail: "must have required property 'quantity'" },
      ];
      response.end(JSON.stringify({ title: 'The data is wrong', code: 'invalid-data', errors }));
    });
    await expectFailure(
      ['--url', url],
      "422 The data is wrong; #/sku must be string; # must have required property 'quantity' (invalid-data)",
    );
  });

  it('tells each way to fail in one line', async (t) => {
    const silent = await serve(t, () => {});
    const html = await serve(t, (_, response) => response.end('<html>'));
    const resetting = await serve(t, (request) => request.socket.destroy());
    const broken = await serve(t, (_, response) => {
      response.statusCode = 500;
      response.end('<html>');
    });
    await expectFailure(['--url', silent, '--timeout-ms', '50'], `no answer from ${silent} within 50 ms`);
    await expectFailure(['--url', html], `${html} answered 200 without JSON`);
    await expectFailure(['--url', resetting], `the request to ${resetting} failed: other side closed`);
    await expectFailure(['--url', broken], '500 Internal Server Error');
    const unused = `http://127.0.0.1:${await freePort()}/`;
    await expectFailure(['--url', unused], `nothing listens at ${unused}: is Waybill running?`);
    await expectFailure(['--data', '{no'], '--data must be JSON and is {no');
    await expectFailure(['--url', 'nope'], '--url must be an http:// or https:// URL and is nope');
    await expectFailure(['A', 'B'], 'give one type and not A, B');
    await expectFailure(['A', '--type', 'B'], 'give one type and not B, A');
    await expectFailure(['--count', '0'], '--count must be a whole number from 1 up and is 0');
    await expectFailure(['--nope'], "Unknown option '--nope'; see --help");
  });

  it('prints its options on --help', async () => {
    const { code, stdout } = await req('--help');
    assert.equal(code, 0);
    for (const option of ['url', 'type', 'data', 'count', 'concurrency', 'timeout-ms'])
      assert.ok(stdout.includes(`--${option} <`), option);
  });
});

type PlainEvent = { id: string; type: string; data: { sentAt: number; [member: string]: unknown } };

async function readEvent(request: IncomingMessage): Promise<PlainEvent> {
  return JSON.parse((await request.toArray()).join(''));
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: TestContext, answer: Answer): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

type Outcome = { code: unknown; stdout: string; stderr: string };

function req(...args: string[]): Promise<Outcome> {
  const program = fileURLToPath(new URL('../../bin/req.mjs', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { timeout: 20_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

async function expectFailure(args: string[], message: string): Promise<void> {
  const { code, stdout, stderr } = await req(...args);
  assert.deepEqual({ code, stdout, stderr }, { code: 1, stdout: '', stderr: `${message}\n` });
}
