/**
 * Five sites, each a process of its own, of which one is frozen, cut off, killed and started again. How long calls take meanwhile
 * is measured by `npm run bench:mesh -- --faults`.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import {
  callFaulty,
  callOthers,
  type FiveProcesses,
  GIVEN_UP,
  startFiveProcesses,
  TOPOLOGIES,
} from './five-processes.fixture.ts';

/** On a machine that does nothing else it is 10 s. */
const WHOLE_MS = 120_000;
/** Long enough for silence to be the peer's. */
const DEADLINE_MS = 1_500;
const ROUNDS = 10;

describe('a full mesh of five processes', () => {
  let sites: FiveProcesses;

  before(async () => {
    sites = await startFiveProcesses(TOPOLOGIES.full);
    await sites.whole(WHOLE_MS);
  });
  after(() => sites?.close());

  const faults = {
    'is frozen': [() => sites.freeze(), () => sites.thaw()],
    'is cut off': [() => sites.cutOff(), () => sites.mend()],
    'is killed': [() => sites.kill(), () => sites.restart()],
  } as const;
  for (const [fault, [inject, cure]] of Object.entries(faults))
    it(`goes on while one of them ${fault}, answers its calls in time, and is whole again by itself`, async () => {
      await callOthers(sites, ROUNDS);
      await inject();
      // One that waits for the site at fault does not end before its own deadline, and then it is known no more whether it ran.
      const answers = await callFaulty(sites, DEADLINE_MS, callOthers(sites, ROUNDS)).finally(cure);
      for (const { answer } of answers) {
        const { code, message, details } = answer.status;
        // A client may give up what a slow machine does not answer in time.
        const isSaid = ['not-accepted', 'outcome-unknown', GIVEN_UP].includes(`${details.code}`);
        assert.ok(code === 404 || isSaid, message);
      }
      await sites.whole(WHOLE_MS);
    });

  it('has run no call twice, whatever became of it', () => {
    const runs = sites.runs();
    assert.ok(runs.length > 0);
    assert.deepEqual([...new Set(runs)], [1]);
  });
});
