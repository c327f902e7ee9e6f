import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RoundMeasurement, summarize } from './summarize.ts';

describe('the summary of a comparison', () => {
  it('has the median over the rounds of each figure by itself', () => {
    const [summary] = summarize([
      measurement({ round: 0, requestsPerS: 100, p50Ms: 3, cpuUs: { a: 10, b: 50 }, brokerCpuUs: 7 }),
      measurement({ round: 1, requestsPerS: 300, p50Ms: 1, cpuUs: { a: 30, b: 10 }, brokerCpuUs: 9 }),
      measurement({ round: 2, requestsPerS: 200, p50Ms: 2, cpuUs: { a: 20, b: 5 }, brokerCpuUs: 8 }),
    ]);
    assert.equal(summary?.requestsPerS, 200);
    assert.equal(summary?.p50Ms, 2);
    assert.deepEqual(summary?.cpuUs, { a: 20, b: 10 });
    assert.equal(summary?.ownCpuUs, 40);
    assert.equal(summary?.brokerCpuUs, 8);
  });

  it('compares with Waybill in the same round and at the same number of connections only', () => {
    const summaries = summarize([
      measurement({ system: 'waybill', round: 2, connections: 64, requestsPerS: 1 }),
      measurement({ system: 'peer', round: 0, requestsPerS: 100 }),
      measurement({ system: 'waybill', round: 0, requestsPerS: 150 }),
      measurement({ system: 'peer', round: 1, requestsPerS: 1_000 }),
      measurement({ system: 'waybill', round: 1, requestsPerS: 3_000 }),
      measurement({ system: 'peer', round: 2, requestsPerS: 10 }),
      measurement({ system: 'waybill', round: 2, requestsPerS: 20 }),
    ]);
    assert.equal(summaries.find(({ system }) => system === 'peer')?.waybillRatio, 2);
  });

  it('has no ratio where Waybill was not measured', () => {
    assert.equal(summarize([measurement({ system: 'peer' })])[0]?.waybillRatio, undefined);
  });

  it('counts the errors of all rounds', () => {
    const [summary] = summarize([
      measurement({ round: 0, errors: 2 }),
      measurement({ round: 1 }),
      measurement({ round: 2 }),
    ]);
    assert.equal(summary?.errors, 2);
  });

  it('is in the order of connections, and then of the systems as they were measured', () => {
    const order = summarize(
      [64, 1].flatMap((connections) =>
        ['echo', 'waybill'].map((system) => measurement({ system, connections })),
      ),
    ).map(({ system, connections }) => `${connections} ${system}`);
    assert.deepEqual(order, ['1 echo', '1 waybill', '64 echo', '64 waybill']);
  });
});

function measurement(figures: Partial<RoundMeasurement>): RoundMeasurement {
  return {
    ...{ system: 'waybill', connections: 1, round: 0, requestsPerS: 1, p50Ms: 1, p99Ms: 1, errors: 0 },
    ...{ cpuUs: {}, brokerCpuUs: 0, loadCpuUs: 0, rssBytes: {} },
    ...figures,
  };
}
