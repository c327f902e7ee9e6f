import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { type ReceivedSpan, startOtlpReceiver } from '../../../test/harness/otlp-receiver.ts';

const THEIRS = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

/** The SERVER span of a call whose metadata names {@link THEIRS}, or nothing, on a server of the `tier` given. */
async function spanOf(tier: 'public' | 'inner', traceparent?: string): Promise<ReceivedSpan> {
  const receiver = await startOtlpReceiver();
  const child = fork(new URL('edge-trace.fixture.ts', import.meta.url), [tier], {
    execArgv: ['--import', '@waybill/common/telemetry'],
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH, ...receiver.env },
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
