import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mock, test } from 'node:test';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { context, defaultTextMapGetter, INVALID_SPAN_CONTEXT, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { type ReceivedSpan, startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { edgePropagator, linkInboundTrace } from './edge-trace.ts';

const THEIRS = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

/** The SERVER span of a call whose metadata names {@link THEIRS}, or nothing, on a server of the `tier` given. */
async function spanOf(tier: 'public' | 'inner', traceparent?: string): Promise<ReceivedSpan> {
  const receiver = await startOtlpReceiver();
  const child = fork(new URL('edge-trace.fixture.ts', import.meta.url), [tier], {
    execArgv: ['--import', '@waybill/common/telemetry'],
    cwd: import.meta.dirname,
    env: { ...bareEnvironment(), ...receiver.env },
  });
  try {
    const [port] = await once(child, 'message');
    await call('HealthCheck', port, traceparent);
    await call('NotifyNewClient', port, traceparent);
    const named = () =>
      receiver.spans().find(({ name }) => name.endsWith('DataDispatcherService/NotifyNewClient'));
    const span = await receiver.waitFor(named);
    assert.equal(receiver.spans().length, 1, 'questions about health make no spans');
    return span;
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await receiver.close();
  }
}

async function call(method: string, port: number, traceparent?: string): Promise<void> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const metadata = new Metadata();
  if (traceparent !== undefined) metadata.set('traceparent', traceparent);
  const path = `/data_dispatcher_service.DataDispatcherService/${method}`;
  const asIs = (bytes: Buffer) => bytes;
  await new Promise<void>((resolve, reject) =>
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), metadata, (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  client.close();
}

const TRACEPARENT = `00-${THEIRS.traceId}-${THEIRS.spanId}-01`;

test("on a public gRPC server a caller's span is a link and no parent", async () => {
  const span = await spanOf('public', TRACEPARENT);
  assert.equal(span.kind, 'server');
  assert.notEqual(span.traceId, THEIRS.traceId);
  assert.equal(span.parentSpanId, undefined);
  assert.deepEqual(span.links, [THEIRS]);
});

test('on a public gRPC server a caller without a trace gets one, without links', async () => {
  const span = await spanOf('public');
  assert.deepEqual([span.parentSpanId, span.links], [undefined, []]);
});

test("on an inner gRPC server a caller's span is the parent", async () => {
  const span = await spanOf('inner', TRACEPARENT);
  assert.deepEqual([span.traceId, span.parentSpanId, span.links], [THEIRS.traceId, THEIRS.spanId, []]);
});

test('a tracestate over its limits, or without members, is discarded whole (W3C Trace Context, section 3.3)', () => {
  const members = (count: number, value = 'x') =>
    Array.from({ length: count }, (_, n) => `k${n}=${value}`).join(',');
  const linked = (tracestate: string | string[]) => {
    const carrier = { traceparent: TRACEPARENT, tracestate };
    const inbound = edgePropagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
    const span = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);
    const { mock: links } = mock.method(span, 'addLink');
    // What is active is what the SDK made it; without one it is the root.
    const active = mock.method(context, 'active', () => inbound);
    linkInboundTrace(span, { rawHeaders: [] });
    active.mock.restore();
    const [link] = links.calls[0]?.arguments ?? [];
    assert.equal(link?.context.traceId, THEIRS.traceId);
    return link.context.traceState?.serialize();
  };
  for (const within of ['a=b', 'a=b,,', members(32), `a=${'x'.repeat(200)},b=${'x'.repeat(200)}`])
    assert.equal(linked(within), within.replace(/,+$/, ''));
  for (const over of [
    members(33),
    [members(20), members(20)],
    members(3, 'x'.repeat(200)),
    `a=b,${'x'.repeat(600)}`,
    // What there is in gRPC's metadata where there is none.
    [],
    '',
    ' , ',
  ])
    assert.equal(linked(over), undefined);
});
