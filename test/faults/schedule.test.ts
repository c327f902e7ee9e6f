import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  CLIENT_TARGETS,
  DATABASE_FAULT,
  FAULT_KINDS,
  makeSchedule,
  STREAM_TARGETS,
  TARGETS,
  TOPOLOGY_FAULTS,
} from './schedule.ts';

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

  const runs = {
    'of pings alone': { options: {}, more: [], kinds: [] },
    'with streams': { options: { hasStreams: true }, more: [STREAM_TARGETS], kinds: [] },
    'with clients that stay': {
      options: { hasClients: true },
      more: [CLIENT_TARGETS],
      kinds: [DATABASE_FAULT],
    },
  } as const;
  for (const [name, { options, more, kinds }] of Object.entries(runs))
    it(`comes to every kind and every target ${name}`, () => {
      const seeds = Array.from({ length: 50 }, (_, seed) => seed);
      const faults = seeds.flatMap((seed) => makeSchedule({ seed, seconds: 60, ...options }));
      assert.deepEqual(new Set(faults.map(({ kind }) => kind)), new Set([...FAULT_KINDS, ...kinds]));
      const targets = [TARGETS, ...more].flatMap(({ processes, links }) => [...processes, ...links]);
      assert.deepEqual(new Set(faults.map(({ target }) => target)), new Set([...targets, 'broker']));
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
