import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FAULT_KINDS, makeSchedule, STREAM_TARGETS, TARGETS, TOPOLOGY_FAULTS } from './schedule.ts';

describe('a schedule of faults', () => {
  it('is the same for the same seed, and another one for another seed', () => {
    const schedule = makeSchedule({ seed: 7, seconds: 60 });
    assert.deepEqual(makeSchedule({ seed: 7, seconds: 60 }), schedule);
    assert.notDeepEqual(makeSchedule({ seed: 8, seconds: 60 }), schedule);
  });

  it('ends every fault in time, and never has two on one target at once', () => {
    for (let seed = 0; seed < 50; seed++) {
      const freeAtMs = new Map<string, number>();
      for (const { atMs, durationMs, target } of makeSchedule({ seed, seconds: 30 })) {
        assert.ok(atMs + durationMs <= 30_000);
        assert.ok((freeAtMs.get(target) ?? 0) <= atMs);
        freeAtMs.set(target, atMs + durationMs);
      }
    }
  });

  for (const hasStreams of [false, true])
    it(`comes to every kind and every target ${hasStreams ? 'with' : 'without'} streams`, () => {
      const seeds = Array.from({ length: 50 }, (_, seed) => seed);
      const faults = seeds.flatMap((seed) => makeSchedule({ seed, seconds: 60, hasStreams }));
      assert.deepEqual(new Set(faults.map(({ kind }) => kind)), new Set(FAULT_KINDS));
      const all = [TARGETS, ...(hasStreams ? [STREAM_TARGETS] : [])];
      assert.deepEqual(
        new Set(faults.map(({ target }) => target)),
        new Set([...all.flatMap(({ processes, links }) => [...processes, ...links]), 'broker']),
      );
    });

  it('comes to every fault of what is declared, only when it is asked to', () => {
    const kindsOf = (hasTopology: boolean) =>
      new Set(
        Array.from({ length: 50 }, (_, seed) => makeSchedule({ seed, seconds: 60, hasTopology }))
          .flat()
          .map(({ kind }) => kind),
      );
    assert.deepEqual(kindsOf(false), new Set(FAULT_KINDS));
    assert.deepEqual(kindsOf(true), new Set([...FAULT_KINDS, ...TOPOLOGY_FAULTS]));
  });
});
