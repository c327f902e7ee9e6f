import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { json, text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type OtlpReceiver, startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';

const CLIENT_TRACE = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const TRACEPARENT = `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`;

type Program = { child: ChildProcess; ended: Promise<Ended>; message<T>(): Promise<T> };
type Ended = { code: number | null; signal: string | null; stdout: string; stderr: string };

const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

function run(mode: string, env: Record<string, string>): Program {
  const child = fork(new URL('telemetry-fixture.ts', import.meta.url), [mode], {
    cwd: import.meta.dirname,
    execArgv: ['--import', '@waybill/common/telemetry'],
    env: { ...bareEnvironment(), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.add(child);
  const output = Promise.all([text(child.stdout as Readable), text(child.stderr as Readable)]);
  const ended = once(child, 'close').then(async ([code, signal]) => {
    const [stdout, stderr] = await output;
    return { code, signal, stdout, stderr };
  });
  return {
    child,
    ended,
    async message<T>() {
      const tooEarly = ended.then(({ code, stderr }) => assert.fail(`ended with ${code}: ${stderr}`));
      return (await Promise.race([once(child, 'message'), tooEarly]))[0] as T;
    },
  };
}

function lines({ stdout }: Ended): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

async function post(url: string, headers: Record<string, string> = {}): Promise<Record<string, string>> {
  const response = await fetch(url, { method: 'POST', headers, body: '{}' });
  return (await response.json()) as Record<string, string>;
}

/** The same with a body that comes when its request is being handled. */
async function postInPieces(url: string, headers: Record<string, string>): Promise<Record<string, string>> {
  const posting = request(url, { method: 'POST', headers: { ...headers, expect: '100-continue' } });
  posting.flushHeaders();
  await once(posting, 'continue');
  posting.end('{}');
  const [response] = await once(posting, 'response');
  return (await json(response)) as Record<string, string>;
}

test('an OTLP endpoint without a scheme ends the start in words, but by gRPC', async () => {
  for (const name of ['', 'TRACES_', 'METRICS_', 'LOGS_'].map(
    (each) => `OTEL_EXPORTER_OTLP_${each}ENDPOINT`,
  )) {
    const { code, stderr } = await run('exit at once', { [name]: 'localhost:4318' }).ended;
    const words = `invalid settings:\n  ${name}: must start with http:// or https://\n`;
    assert.deepEqual({ code, stderr }, { code: 1, stderr: words });
  }
  const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'localhost:4317' };
  assert.equal((await run('exit at once', env).ended).code, 0);
});

describe('a program of fastify, undici and pino under the preload', () => {
  let receiver: OtlpReceiver;
  let program: Program;
  let urls: { edge: string; internal: string; ofHandler: string; instanceId: string };
  let ended: Ended;
  let forwarded: Record<string, string>;
  let sent: Record<string, string>;
  let routed: Record<string, string>;

  before(async () => {
    receiver = await startOtlpReceiver();
    program = run('serve', {
      ...receiver.env,
      // Worker threads inherit it: the log worker must not start an SDK of its own.
      NODE_OPTIONS: '--import @waybill/common/telemetry',
    });
    urls = await program.message();
    forwarded = await postInPieces(`${urls.edge}/call/7?a=b&ticket=secret`, {
      ...{ traceparent: TRACEPARENT, baggage: 'a=b', 'user-agent': 'a client' },
    });
    sent = await post(`${urls.edge}/send`);
    routed = await post(`${urls.internal}/events`);
    await fetch(`${urls.ofHandler}/of/handler`, { method: 'PUT', headers: { traceparent: TRACEPARENT } });
    await fetch(`${urls.edge}/health/live`);
    await receiver.waitFor(() => receiver.metricNames().includes('waybill.parked'));
    await receiver.waitFor(() => receiver.counts('waybill.events')[0]?.includes(1));
    await receiver.waitFor(() => receiver.logs());
    program.child.kill('SIGTERM');
    ended = await program.ended;
  });
  after(() => receiver.close());

  const span = (name: string) => {
    const found = receiver.spans().filter((candidate) => candidate.name === name);
    assert.equal(found.length, 1, `${found.length} spans are called ${name}`);
    return found[0] as NonNullable<(typeof found)[0]>;
  };

  test('makes a SERVER span with its route and a CLIENT span below it', () => {
    const server = span('POST /call/:id');
    const client = span('GET');
    assert.equal(server.kind, 'server');
    const { 'network.peer.port': port, ...attributes } = server.attributes;
    assert.equal(typeof port, 'number');
    const { hostname, port: serverPort } = new URL(urls.edge);
    assert.deepEqual(attributes, {
      'http.request.method': 'POST',
      'http.response.status_code': 200,
      'http.route': '/call/:id',
      'url.scheme': 'http',
      'url.path': '/call/7',
      'url.query': 'a=b&ticket=REDACTED',
      'server.address': hostname,
      'server.port': Number(serverPort),
      'client.address': '192.0.2.1',
      'network.peer.address': '127.0.0.1',
      'network.protocol.version': '1.1',
      'user_agent.original': 'a client',
    });
    assert.equal(client.kind, 'client');
    assert.equal(client.traceId, server.traceId);
    assert.equal(client.parentSpanId, server.spanId);
  });

  test("starts a new trace at the edge, links the client's, and passes its own on without baggage", () => {
    const server = span('POST /call/:id');
    assert.notEqual(server.traceId, CLIENT_TRACE);
    assert.equal(server.parentSpanId, undefined);
    assert.deepEqual(server.links, [{ traceId: CLIENT_TRACE, spanId: CLIENT_SPAN }]);
    assert.deepEqual(span('GET').links, []);
    assert.equal(forwarded.traceparent, `00-${server.traceId}-${span('GET').spanId}-01`);
    assert.equal(forwarded.baggage, undefined);
  });

  test('makes a SERVER span with a link for a server that is none of ours, too', () => {
    const { kind, links, traceId } = span('PUT');
    assert.equal(kind, 'server');
    assert.notEqual(traceId, CLIENT_TRACE);
    assert.deepEqual(links, [{ traceId: CLIENT_TRACE, spanId: CLIENT_SPAN }]);
  });

  test('writes the active span on each log line, on stdout and over OTLP, once', () => {
    const { traceId, spanId } = span('POST /call/:id');
    const [line, ...others] = lines(ended).filter(({ msg }) => msg === 'called');
    assert.equal(others.length, 0);
    const { time, ...rest } = line ?? {};
    assert.equal(typeof time, 'number');
    assert.deepEqual(rest, {
      level: 'info',
      service: 'fixture',
      trace_id: traceId,
      span_id: spanId,
      trace_flags: '01',
      event_id: 'e-1',
      event_type: 'PingRequest',
      msg: 'called',
    });
    const records = receiver.logs().filter(({ body }) => body === 'called');
    assert.deepEqual(
      records.map(({ resource, ...record }) => record),
      [
        {
          body: 'called',
          attributes: { service: 'fixture', event_id: 'e-1', event_type: 'PingRequest' },
          traceId,
          spanId,
          severity: 'info',
          severityNumber: 9,
          service: 'fixture-service',
        },
      ],
    );
  });

  test('says the same small resource in all three signals, and nothing of the machine', () => {
    const service = {
      'service.name': 'fixture-service',
      'service.version': '0.1.0',
      'service.instance.id': urls.instanceId,
    };
    const resources = [
      ...receiver.spans().map(({ resource }) => resource),
      ...receiver.logs().map(({ resource }) => resource),
      ...receiver.metricResources(),
    ];
    assert.ok(resources.length > 3);
    for (const resource of resources) {
      const own = Object.entries(resource).filter(([name]) => !name.startsWith('telemetry.sdk.'));
      assert.deepEqual(Object.fromEntries(own), service);
    }
  });

  test('exports the metrics of HTTP, of the runtime and of Waybill', () => {
    const names = receiver.metricNames();
    for (const name of [
      'http.server.request.duration',
      'http.client.request.duration',
      'nodejs.eventloop.delay.p99',
      'waybill.events',
      'waybill.parked',
    ])
      assert.ok(names.includes(name), name);
  });

  test('exports each counter as 0 before anything else, so that the first one counted is an increase', () => {
    const [counts, ...others] = receiver.counts('waybill.events');
    assert.equal(others.length, 0);
    assert.equal(counts?.[0], 0);
    assert.ok(counts.slice(1).every((count) => count === 1));
  });

  test('makes the span of an event below the active one, and stamps it', () => {
    const server = span('POST /send');
    const send = span('send PingRequest');
    assert.equal(send.kind, 'producer');
    assert.equal(send.parentSpanId, server.spanId);
    assert.equal(sent.traceparent, `00-${server.traceId}-${send.spanId}-01`);
    assert.deepEqual(send.attributes, {
      'messaging.system.name': 'rabbitmq',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'waybill.events:PingRequest',
      'messaging.message.id': 'e-1',
      'rabbitmq.destination.routing_key': 'PingRequest',
      'cloudevents.event_id': 'e-1',
      'cloudevents.event_type': 'PingRequest',
      'cloudevents.event_source': '/fixture',
    });
  });

  test("behind an internal server, makes the span of an event below the event's own", () => {
    const route = span('route _OTHER');
    assert.equal(route.kind, 'consumer');
    assert.equal(route.traceId, CLIENT_TRACE);
    assert.equal(route.parentSpanId, CLIENT_SPAN);
    assert.deepEqual(routed, {
      traceparent: `00-${CLIENT_TRACE}-${route.spanId}-01`,
      tracestate: 'vendor=1',
    });
    assert.equal(route.attributes['messaging.operation.type'], 'process');
    assert.equal(route.attributes['messaging.destination.name'], 'waybill.events:_OTHER:waybill.ping');
    assert.equal(route.attributes['rabbitmq.destination.routing_key'], 'PingRequest');
    assert.equal(route.attributes['waybill.batch.size'], 3);
    assert.equal(route.attributes['error.type'], 'handler-failed');
    assert.equal(route.isError, true);
  });

  test('makes no spans for internal servers, health and untraced calls', () => {
    const names = receiver.spans().map(({ name }) => name);
    // `GET /headers` twice: it is served to the traced call and to the untraced one, which made no CLIENT span.
    assert.deepEqual(names.sort(), [
      'GET',
      'GET /headers',
      'GET /headers',
      'POST /call/:id',
      'POST /send',
      'PUT',
      'route _OTHER',
      'send PingRequest',
    ]);
    assert.equal(Object(sent.headers).traceparent, undefined);
  });

  test('ends with code 0 and says nothing on stderr', () => {
    assert.equal(ended.code, 0);
    assert.equal(ended.stderr, '');
  });
});

test('of what is not sampled only what fails is exported, under the ids that it had', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const program = run('serve', { ...receiver.env, OTEL_TRACES_SAMPLER: 'parentbased_always_off' });
  const { edge } = await program.message<{ edge: string }>();
  const sent = await post(`${edge}/send`);
  assert.match(String(sent.traceparent), /-00$/);
  const failed = await post(`${edge}/fail`);
  program.child.kill('SIGTERM');
  await program.ended;
  const spans = receiver.spans();
  assert.deepEqual(spans.map(({ name }) => name).sort(), ['POST /fail', 'send PingRequest']);
  assert.ok(spans.every(({ isError }) => isError));
  const server = spans.find(({ kind }) => kind === 'server');
  const sending = spans.find(({ kind }) => kind === 'producer');
  assert.equal(failed.traceparent, `00-${server?.traceId}-${sending?.spanId}-00`);
  assert.equal(sending?.traceId, server?.traceId);
  assert.equal(sending?.parentSpanId, server?.spanId);
  assert.equal(sending?.attributes['error.type'], 'outcome-unknown');
  assert.equal(server?.attributes['http.response.status_code'], 504);
});

test('without an endpoint nothing is exported or patched, and events keep the trace they came with', async () => {
  const program = run('serve', { OTEL_EXPORTER_OTLP_ENDPOINT: '' });
  const urls = await program.message<{ edge: string; internal: string; instanceId: string }>();
  const forwarded = await post(`${urls.edge}/call/7`, { traceparent: TRACEPARENT });
  const routed = await post(`${urls.internal}/events`);
  program.child.kill('SIGTERM');
  const ended = await program.ended;
  assert.equal(forwarded.traceparent, undefined);
  assert.deepEqual(routed, {});
  assert.match(urls.instanceId, /^[0-9a-f-]{36}$/);
  assert.deepEqual({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: '' });
  assert.deepEqual(
    lines(ended).map(({ msg, trace_id }) => ({ msg, trace_id })),
    [{ msg: 'called', trace_id: undefined }],
  );
});

for (const [signal, path] of [
  ['TRACES', '/v1/traces'],
  ['METRICS', '/v1/metrics'],
  ['LOGS', '/v1/logs'],
] as const)
  test(`with an endpoint for ${signal} alone, only they are exported, as protobuf`, async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(() => receiver.close());
    const program = run('exit on SIGTERM', {
      [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`]: `${receiver.url}${path}`,
    });
    const started = await program.message();
    program.child.kill('SIGTERM');
    const { code, stderr } = await program.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.deepEqual(started, { traces: signal === 'TRACES', metrics: signal === 'METRICS' });
    const requests = receiver.requests();
    assert.ok(requests.length > 0);
    for (const { bytes, ...request } of requests) {
      assert.deepEqual(request, { path, contentType: 'application/x-protobuf' });
      assert.ok(bytes > 50, `${bytes} bytes`);
    }
  });

test('metrics are scraped, without an endpoint, and nothing else leaves', async (t) => {
  const port = await freePort();
  const env = { OTEL_METRICS_EXPORTER: 'prometheus', OTEL_EXPORTER_PROMETHEUS_PORT: String(port) };
  const program = run('exit on SIGTERM', env);
  t.after(() => program.child.kill('SIGKILL'));
  assert.deepEqual(await program.message(), { traces: false, metrics: true });
  const scraped = await eventually(async () => (await fetch(`http://localhost:${port}/metrics`)).text());
  assert.match(scraped, /^target_info\{.*service_name="fixture-service"/m);
  assert.match(scraped, /^nodejs_eventloop_utilization\{/m);
  program.child.kill('SIGTERM');
  const { code, stderr } = await program.ended;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
});

test('OTEL_RESOURCE_ATTRIBUTES names the instance', async () => {
  const program = run('serve', { OTEL_RESOURCE_ATTRIBUTES: 'a=b,service.instance.id=one%2Ftwo' });
  const urls = await program.message<{ instanceId: string }>();
  program.child.kill('SIGTERM');
  await program.ended;
  assert.equal(urls.instanceId, 'one/two');
});

// Long enough that what comes was flushed, not due.
const NOT_DUE = { OTEL_BLRP_SCHEDULE_DELAY: '60000' };

test('flushLogs has delivered every line when it resolves, and later lines go to stdout alone', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const program = run('flush, then exit when told', { ...receiver.env, ...NOT_DUE });
  await program.message();
  const delivered = receiver.logs().map(({ body }) => body);
  program.child.send('exit');
  const ended = await program.ended;
  assert.deepEqual(delivered, ['last words']);
  assert.equal(receiver.logs().length, 1);
  assert.deepEqual(
    lines(ended).map(({ msg }) => msg),
    ['last words', 'to stdout only'],
  );
  assert.deepEqual({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: '' });
});

for (const mode of ['exit at once', 'exit on SIGTERM'])
  test(`loses no log line: ${mode}`, async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(() => receiver.close());
    const program = run(mode, { ...receiver.env, ...NOT_DUE });
    if (mode === 'exit on SIGTERM') {
      await program.message();
      program.child.kill('SIGTERM');
    }
    const ended = await program.ended;
    assert.equal(ended.code, 0);
    for (const received of [lines(ended).map(({ msg }) => msg), receiver.logs().map(({ body }) => body)])
      assert.deepEqual(received, ['last words']);
  });

test('what is counted first in the last moment is exported as an increase too', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const program = run('exit on SIGTERM', { ...receiver.env, OTEL_METRIC_EXPORT_INTERVAL: '60000' });
  await program.message();
  program.child.kill('SIGTERM');
  assert.equal((await program.ended).code, 0);
  assert.deepEqual(receiver.counts('waybill.reconnects'), [[0, 1]]);
});

for (const protocol of ['http/protobuf', 'http/json', 'grpc'])
  test(`an OTLP endpoint that is not there is logged once for each signal, by ${protocol}`, async () => {
    const program = run('go on until three signals fail', {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_TIMEOUT: '300',
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '300',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BLRP_SCHEDULE_DELAY: '50',
      OTEL_METRIC_EXPORT_INTERVAL: '400',
      OTEL_METRIC_EXPORT_TIMEOUT: '400',
    });
    const ended = await program.ended;
    const warnings = lines(ended).filter(({ level }) => level === 'warn');
    assert.deepEqual(warnings.map(({ signal }) => signal).sort(), ['logs', 'metrics', 'traces']);
    for (const { msg, reason } of warnings) {
      assert.equal(msg, 'what is exported does not arrive');
      assert.match(String(reason), /./);
    }
    assert.deepEqual({ code: ended.code, stderr: ended.stderr }, { code: 0, stderr: '' });
  });

for (const [does, onConnection] of [
  ['never answers', () => {}],
  ['trickles its answers', trickle],
] as const)
  test(`a backend that ${does} holds up an exit no longer than its bounds`, async (t) => {
    const backend = createServer(onConnection).listen(0, '127.0.0.1');
    t.after(() => backend.close());
    await once(backend, 'listening');
    const { port } = backend.address() as { port: number };
    const program = run('exit on SIGTERM', { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
    await program.message();
    const start = performance.now();
    program.child.kill('SIGTERM');
    const ended = await program.ended;
    assert.equal(ended.code, 0);
    assert.ok(performance.now() - start < 9_000, `${performance.now() - start} ms`);
  });

/** Headers at once, and then a byte every 100 ms: never silent, never done. */
function trickle(socket: Socket): void {
  socket.on('error', () => {});
  socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n');
    const timer = setInterval(() => socket.write(' '), 100);
    socket.once('close', () => clearInterval(timer));
  });
}
