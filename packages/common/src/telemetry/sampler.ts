/** The sampler and the ids of the SDK: its own, but that what has failed is taken (`failed-spans.ts`). */
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';
import { startedAgain } from './failed-spans.ts';

const random = new RandomIdGenerator();

/** Random ids; of a span that is started again those that it had. */
export const idGenerator: IdGenerator = {
  generateTraceId: () => startedAgain()?.traceId ?? random.generateTraceId(),
  generateSpanId: () => startedAgain()?.spanId ?? random.generateSpanId(),
};

/**
 * The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` in `env` name, by the specification of OpenTelemetry (default
 * `parentbased_always_on`; a ratio that is none is 1), which takes all spans that are started again.
 */
export function createSampler(env: NodeJS.ProcessEnv = process.env): Sampler {
  const chosen = chosenSampler(env);
  return {
    shouldSample: (...span) =>
      startedAgain() ? { decision: SamplingDecision.RECORD_AND_SAMPLED } : chosen.shouldSample(...span),
    toString: () => `${chosen}, and failures`,
  };
}

function chosenSampler({ OTEL_TRACES_SAMPLER: name = '', OTEL_TRACES_SAMPLER_ARG: arg }: NodeJS.ProcessEnv) {
  const [, parentBased, rule] = /^(parentbased_)?(.*)$/.exec(name) ?? [];
  const root = samplerOf(rule, arg);
  if (!root) return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

function samplerOf(rule: string | undefined, arg: string | undefined): Sampler | undefined {
  if (rule === 'always_on') return new AlwaysOnSampler();
  if (rule === 'always_off') return new AlwaysOffSampler();
  if (rule === 'traceidratio') return new TraceIdRatioBasedSampler(ratioOf(arg));
  return undefined;
}

function ratioOf(arg: string | undefined): number {
  const ratio = arg ? Number(arg) : 1;
  return ratio >= 0 && ratio <= 1 ? ratio : 1;
}
