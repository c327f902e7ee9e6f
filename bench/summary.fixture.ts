import type { Summary } from './summarize.ts';

/** A summary in which every figure is one, but for those given. */
export function makeSummary(figures: Partial<Summary>): Summary {
  return {
    ...{ system: 'waybill', connections: 1, requestsPerS: 1, p50Ms: 1, p99Ms: 1, errors: 1, waybillRatio: 1 },
    ...{ cpuUs: {}, ownCpuUs: 1, brokerCpuUs: 1, loadCpuUs: 1, rssBytes: {}, ownRssBytes: 1 },
    ...figures,
  };
}
