import type { Rabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { answering } from './expect-answer.ts';
import { type Measurement, measure } from './measure.ts';
import { sum } from './statistics.ts';
import { WAYBILL } from './systems.ts';
import { withWaybill } from './with-waybill.ts';
import { type LoadOptions, runLoad, WARM_UP } from './wrk.ts';

/** One load, and what is special about the Waybill that bears it. */
export type LoadStep = Omit<LoadOptions, 'url' | 'seconds'> & {
  /** What grows. */
  step: number;
  listenerMs?: number;
  instances?: number;
};

/** Measures a Waybill of its own at each step, warm; one row of figures per step, CPU in µs per request. */
export async function growthOfLoad(options: {
  broker: Rabbitmq;
  seconds: number;
  steps: readonly LoadStep[];
}): Promise<Record<string, number>[]> {
  const rows: Record<string, number>[] = [];
  for (const step of options.steps)
    rows.push({ step: step.step, ...toRow(await measureStep(step, options)) });
  return rows;
}

function measureStep(
  step: LoadStep,
  { broker, seconds }: { broker: Rabbitmq; seconds: number },
): Promise<Measurement> {
  const { instances, listenerMs = 0 } = step;
  const listener = { program: 'bench/slow-listener.mjs', env: { LISTENER_MS: listenerMs } };
  return withWaybill({ broker, instances, listener }, async (waybill) => {
    const system = { name: WAYBILL, ...waybill };
    await answering(system);
    for (const url of system.urls) await runLoad({ url, ...WARM_UP });
    return measure({ ...step, system, brokerPid: broker.pid, seconds, countsRefused: true });
  });
}

function toRow(measurement: Measurement): Record<string, number> {
  const { requestsPerS, p50Ms, p99Ms, refused = 0, errors, cpuUs, brokerCpuUs, rssBytes } = measurement;
  return {
    'req/s': requestsPerS,
    'p50 ms': p50Ms,
    'p99 ms': p99Ms,
    refused,
    errors,
    'CPU µs': sum(Object.values(cpuUs)) + brokerCpuUs,
    ...cpuUs,
    broker: brokerCpuUs,
    'RSS MB': sum(Object.values(rssBytes)) / 1024 ** 2,
  };
}
