import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROOT_CONTEXT, SpanKind, TraceFlags, trace } from '@opentelemetry/api';
import { createSampler } from './sampler.ts';

const REMOTE = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', isRemote: true };

/** Whether a span is taken that starts a trace; below one that was taken; below one that was not. */
function taken(env: NodeJS.ProcessEnv): boolean[] {
  const sampler = createSampler(env);
  const parents = [undefined, TraceFlags.SAMPLED, TraceFlags.NONE];
  return parents.map((traceFlags) => {
    const parent =
      traceFlags === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...REMOTE, traceFlags });
    return sampler.shouldSample(parent, REMOTE.traceId, 'send', SpanKind.PRODUCER, {}, []).decision !== 0;
  });
}

for (const [name, arg, expected] of [
  [undefined, undefined, [true, true, false]],
  ['parentbased_always_on', undefined, [true, true, false]],
  ['parentbased_always_off', undefined, [false, true, false]],
  ['always_on', undefined, [true, true, true]],
  ['always_off', undefined, [false, false, false]],
  ['parentbased_traceidratio', '0', [false, true, false]],
  ['traceidratio', '0', [false, false, false]],
  ['traceidratio', '1', [true, true, true]],
  ['traceidratio', 'half', [true, true, true]],
  ['traceidratio', '-1', [true, true, true]],
  ['nothing_known', undefined, [true, true, false]],
] as const)
  test(`OTEL_TRACES_SAMPLER=${name ?? ''} with ${arg ?? 'no argument'} takes what the specification says`, () => {
    assert.deepEqual(taken({ OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: arg }), expected);
  });

test('a ratio takes some traces and not others, and the same in every tier', () => {
  const env = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' };
  const [one, other] = [createSampler(env), createSampler(env)];
  let count = 0;
  for (let index = 0; index < 1_000; index += 1) {
    const traceId = ((index * 4_294_967) >>> 0).toString(16).padStart(8, '0').repeat(4);
    const decisions = [one, other].map(
      (sampler) => sampler.shouldSample(ROOT_CONTEXT, traceId, 'send', SpanKind.PRODUCER, {}, []).decision,
    );
    assert.equal(decisions[0], decisions[1]);
    if (decisions[0] !== 0) count += 1;
  }
  assert.ok(count > 0 && count < 1_000, `${count} of 1,000`);
});
