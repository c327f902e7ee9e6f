import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { drawTrace } from '../../bin/plain/draw-trace.mjs';

const TRACE_ID = '0c57821a552f5e74fc778f66e6633d81';

/** What a real Tempo and a real Loki answered; three spans were left of the trace, without their root. */
const tempoAnswer = readFileSync(new URL('recorded/tempo-trace.json', import.meta.url), 'utf8');
const lokiAnswer = readFileSync(new URL('recorded/loki-logs.json', import.meta.url), 'utf8');

describe('trace', () => {
  it('draws what Tempo and Loki answered, asked by an id without its leading zero', async (t) => {
    const asked: string[] = [];
    const url = await serve(t, (request, response) => {
      const path = decodeURIComponent((request.url ?? '').replaceAll('+', ' '));
      asked.push(path);
      response.end(path.startsWith('/api') ? tempoAnswer : lokiAnswer);
    });

    const { code, stdout, stderr } = await trace(TRACE_ID.slice(1), '--tempo-url', `${url}/`);

    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.equal(
      stdout,
      `\
trace 0c57821a552f5e74fc778f66e6633d81 · 3 spans · 1 service · 46.2 ms · 1 missing

spike publish <default> ██▉                                                                           1.81 ms
spike GET                                  ██████████████████████████████████████████████████████▊    34.2 ms
spike └ GET                                                   ████████████████████████▌               15.3 ms
spike · info incoming request                                                                        -7.00 ms
spike · info in handler                                                                              -1.00 ms
`,
    );
    assert.equal(asked[0], `/api/v2/traces/${TRACE_ID}`);
    assert.match(asked[1] ?? '', new RegExp(`query=\\{service_name=~".\\+"\\} \\| trace_id="${TRACE_ID}"&`));
    assert.match(asked[1] ?? '', /&start=1795220618836000000&end=1795220738882161535&/);
  });

  it('shows the log lines of a service that has no span in the trace', async (t) => {
    const startNs = BigInt(Date.now() - 60_000) * 1_000_000n;
    const stream = { service_name: 'quiet', severity_text: 'warn', trace_id: TRACE_ID };
    const lines = {
      data: { result: [{ stream, values: [[String(startNs), 'no telemetry of traces here']] }] },
    };
    const url = await serve(t, (request, response) => {
      const isAsked = decodeURIComponent(request.url ?? '').includes('service_name=~".+"');
      if (request.url?.startsWith('/api')) response.end(tempo([tempoSpan('1', 'first', startNs)]));
      else response.end(isAsked ? JSON.stringify(lines) : '{"data":{"result":[]}}');
    });
    const { code, stdout } = await trace(TRACE_ID, '--tempo-url', url, '--wait-ms', '50');
    assert.equal(code, 0);
    assert.match(stdout, /^quiet +· warn no telemetry of traces here/m);
  });

  it('waits for a trace that is late, and until it has stopped growing', async (t) => {
    // Old, so that only its growing says that it is not complete.
    const startNs = BigInt(Date.now() - 60_000) * 1_000_000n;
    const all = [tempoSpan('1', 'first', startNs), tempoSpan('2', 'second', startNs)];
    let looks = 0;
    const url = await serve(t, (request, response) => {
      if (request.url?.startsWith('/loki')) return void response.end('{"data":{"result":[]}}');
      looks++;
      response.end(tempo(looks < 3 ? [] : all.slice(0, looks < 5 ? 1 : 2)));
    });

    const { code, stdout } = await trace(TRACE_ID, '--tempo-url', url, '--wait-ms', '1500');

    assert.equal(code, 0);
    assert.match(stdout, /first.*second/s);
  });

  it('draws the spans, and says why, when the log lines cannot be had', async (t) => {
    const url = await serve(t, (_, response) => response.end(tempoAnswer));
    const unused = `http://127.0.0.1:${await freePort()}`;
    const { code, stdout, stderr } = await trace(TRACE_ID, '--tempo-url', url, '--loki-url', unused);
    assert.equal(code, 1);
    assert.match(stdout, /publish <default>/);
    assert.equal(stderr, `nothing listens at ${unused}: is Loki, or npm start, running?\n`);
  });

  it('uses colours when asked to, and never with NO_COLOR', async (t) => {
    const url = await serve(t, (request, response) =>
      response.end(request.url?.startsWith('/api') ? tempoAnswer : lokiAnswer),
    );
    const args = [TRACE_ID, '--tempo-url', url];
    const hasColour = async (env: Record<string, string>) =>
      (await traceWith(env, ...args)).stdout.includes('\x1b[36m');
    assert.equal(await hasColour({}), false);
    assert.equal(await hasColour({ FORCE_COLOR: '1' }), true);
    assert.equal(await hasColour({ FORCE_COLOR: '0' }), false);
    assert.equal(await hasColour({ FORCE_COLOR: '1', NO_COLOR: '1' }), false);
  });

  it('tells each way to fail in one line', async (t) => {
    const empty = await serve(t, (_, response) => response.end('{"trace":{},"metrics":{}}'));
    const html = await serve(t, (_, response) => response.end('<html>'));
    const broken = await serve(t, (_, response) => {
      response.statusCode = 500;
      response.end('out of\nmemory');
    });
    const unused = `http://127.0.0.1:${await freePort()}`;
    const at = (url: string) => [TRACE_ID, '--wait-ms', '50', '--tempo-url', url];
    await expectFailure(at(empty), `no trace ${TRACE_ID} at ${empty} (waited 50 ms)`);
    await expectFailure(at(html), `what answers at ${html} is no Tempo: it sent no JSON`);
    await expectFailure(at(broken), `Tempo at ${broken} answered 500: out of memory`);
    await expectFailure(at(unused), `nothing listens at ${unused}: is Tempo, or npm start, running?`);
    const malformed = 'a trace id is 32 hex digits (leading zeros may be missing), and not';
    for (const id of ['xyz', `${TRACE_ID}0`, '0'.repeat(32)]) await expectFailure([id], `${malformed} ${id}`);
    await expectFailure([], 'give one trace id; see --help');
    await expectFailure(
      [TRACE_ID, '--tempo-url', 'x'],
      '--tempo-url must be an http:// or https:// URL and is x',
    );
    await expectFailure([TRACE_ID, '--wait-ms', '1s'], '--wait-ms must be a whole number and is 1s');
    await expectFailure([TRACE_ID, '--nope'], "Unknown option '--nope'; see --help");
  });

  it('prints its options on --help', async () => {
    const { code, stdout } = await trace('--help');
    assert.equal(code, 0);
    for (const option of ['tempo-url', 'loki-url', 'wait-ms'])
      assert.ok(stdout.includes(`--${option} <`), option);
  });
});

describe('a drawn trace', () => {
  it('is a tree in the order of start, with log lines under their spans and durations to scale', () => {
    const spans = [
      span({ spanId: 'b', parentSpanId: 'a', service: 'dispatcher', name: 'route', from: 6, to: 8 }),
      span({ spanId: 'c', parentSpanId: 'a', name: 'send', from: 1, to: 5 }),
      span({ spanId: 'd', parentSpanId: 'c', name: 'sub', from: 2, to: 2.001 }),
      span({ spanId: 'a', name: 'POST /', from: 0, to: 8 }),
    ];
    const logs = [
      log({ spanId: 'a', text: 'answered', at: 8 }),
      log({ spanId: 'd', service: 'dispatcher', severity: 'warn', text: 'odd', at: 2 }),
      log({ spanId: '', text: 'of no span', at: -1 }),
    ];
    assert.equal(
      drawTrace({ traceId: TRACE_ID, spans, logs, columns: 60, hasColour: false }),
      `\
trace 0c57821a552f5e74fc778f66e6633d81 · 4 spans · 2 services · 8.00 ms

public-web POST /  █████████████████████████████    8.00 ms
public-web │ · info answered                       +8.00 ms
public-web ├ send     ██████████████▌               4.00 ms
public-web │ └ sub        ▏                            1 µs
dispatcher │     · warn odd                        +2.00 ms
dispatcher └ route                      ███████▎    2.00 ms
public-web · info of no span                       -1.00 ms`,
    );
  });

  it('shows a failed span with what it says', () => {
    const spans = [span({ spanId: 'a', name: 'process', error: 'disk full', from: 0, to: 1 })];
    assert.match(
      drawTrace({ traceId: TRACE_ID, spans, logs: [], columns: 60, hasColour: false }),
      /process ✗ disk full/,
    );
  });

  it('is never wider than the terminal, and shows every span, however odd the trace', () => {
    const deep = Array.from({ length: 200 }, (_, index) =>
      span({ spanId: `${index}`, parentSpanId: `${index - 1}`, name: 'x'.repeat(300), from: index, to: 900 }),
    );
    const circle = [
      span({ spanId: 'p', parentSpanId: 'q', from: 0, to: 0 }),
      span({ spanId: 'q', parentSpanId: 'p', from: 0, to: 0 }),
      span({ spanId: 'r', parentSpanId: 'r', from: 0, to: 0 }),
    ];
    const spans = [...deep, ...circle];
    const lines = drawTrace({ traceId: TRACE_ID, spans, logs: [], columns: 100, hasColour: false }).split(
      '\n',
    );
    assert.equal(lines.length, 2 + spans.length);
    assert.ok(lines.every((line) => line.length <= 100));
  });

  it('lets nothing in a trace steer the terminal', () => {
    const spans = [span({ spanId: 'a', name: '\x1b[2Jname\r\n', from: 0, to: 1 })];
    const logs = [log({ spanId: 'a', text: 'two\nlines\x1b]0;title\x07\u202e', at: 0 })];
    const text = drawTrace({ traceId: TRACE_ID, spans, logs, columns: 100, hasColour: false });
    assert.equal(text.split('\n').length, 4);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f\u202e]/);
  });
});

const START_NS = 1_795_220_678_000_000_000n;

function toNs(ms: number): bigint {
  return START_NS + BigInt(Math.round(ms * 1e6));
}

type SpanOptions = {
  spanId: string;
  from: number;
  to: number;
  parentSpanId?: string;
  service?: string;
  name?: string;
  error?: string;
};

function span({
  from,
  to,
  parentSpanId = '',
  service = 'public-web',
  name = 'x',
  error,
  spanId,
}: SpanOptions) {
  return { spanId, parentSpanId, service, name, error, startNs: toNs(from), endNs: toNs(to) };
}

type LogOptions = { spanId: string; text: string; at: number; service?: string; severity?: string };

function log({ at, service = 'public-web', severity = 'info', ...rest }: LogOptions) {
  return { service, severity, timeNs: toNs(at), ...rest };
}

function tempoSpan(id: string, name: string, startNs: bigint) {
  const spanId = Buffer.from(id.repeat(16), 'hex').toString('base64');
  const time = String(startNs);
  return { traceId: '', spanId, name, startTimeUnixNano: time, endTimeUnixNano: time };
}

function tempo(spans: object[]): string {
  return JSON.stringify({ trace: { resourceSpans: [{ scopeSpans: [{ spans }] }] } });
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: TestContext, answer: Answer): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type Outcome = { code: unknown; stdout: string; stderr: string };

function traceWith(env: Record<string, string>, ...args: string[]): Promise<Outcome> {
  const program = fileURLToPath(new URL('../../bin/trace.mjs', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { timeout: 20_000, env }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}

function trace(...args: string[]): Promise<Outcome> {
  return traceWith({}, ...args);
}

async function expectFailure(args: string[], message: string): Promise<void> {
  const { code, stdout, stderr } = await trace(...args);
  assert.deepEqual({ code, stdout, stderr }, { code: 1, stdout: '', stderr: `${message}\n` });
}
