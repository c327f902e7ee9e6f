/** kill -9 of each tier: at the steps where it matters, and under load. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { ask } from './client.ts';
import { gatherEvidence } from './evidence.ts';
import { type ProcessName, useFaultySystem } from './fault-bench.ts';
import { recovered } from './run-schedule.ts';
import { outcomesOf, underLoad } from './under-load.ts';

/** Longer than anything here takes, on a machine that is busy with other things too. */
const DEADLINE_MS = 60_000;
const DISPATCHERS = ['dispatcher-0', 'dispatcher-1'] as const;

describe('a process that is killed', { skip: rabbitmqMissing }, () => {
  const bench = useFaultySystem({ deadlineMs: DEADLINE_MS });
  const { process, service, link } = bench;
  const web = () => service('public-web-0');
  /** When the last was killed. */
  let killedMs = 0;

  /** Resolves when a dispatcher has the broker's confirm of the event. */
  const published = (id: string) =>
    logged((line) => line.msg === 'event published' && line.event_id === id && line.outcome === 'confirmed');
  /** Resolves when a dispatcher has learned that nobody waits for the reply to the event any more. */
  const replyDropped = (id: string) =>
    logged(
      (line) => line.msg === 'reply routed' && line.event_id === `reply-to-${id}` && line.outcome === 'gone',
    );
  const logged = (isIt: Parameters<ReturnType<typeof service>['waitForLog']>[0]) =>
    Promise.any(DISPATCHERS.map((name) => service(name).waitForLog(isIt)));
  const answersTo = (id: string) => gatherEvidence(bench.system()).accounted.get(id);
  const runsOf = (id: string) => gatherEvidence(bench.system()).ran.get(id)?.length ?? 0;

  /** Kills a process, and starts another in its place; resolves when that is ready. */
  async function replace(name: ProcessName): Promise<void> {
    await process(name).kill();
    killedMs = Date.now();
    await process(name).start();
    await service(name).ready();
  }

  async function startAll(...names: Parameters<typeof process>[0][]): Promise<void> {
    await Promise.all(names.map((name) => process(name).start()));
    await Promise.all(names.map((name) => service(name).ready()));
    assert.ok(await recovered(bench.system().urls), 'answers again');
  }

  describe('public-web', () => {
    it('resets its clients between confirm and reply, and the late replies are dropped', async () => {
      const id = randomUUID();
      bench.freezeListeners();
      const isReset = assert.rejects(ask(web(), { id }), { code: 'UND_ERR_SOCKET' });
      await published(id);

      await process('public-web-0').kill();
      await isReset;
      await process('public-web-0').start();
      bench.thawListeners();

      await replyDropped(id);
      await bench.emptied();
    });

    it('under load takes along its own clients alone', async (t) => {
      const run = await underLoad(bench, { t, seed: 1, deadlineMs: DEADLINE_MS }, async (inject) => {
        await inject('kill', 'public-web-0', () => replace('public-web-0'));
      });
      const ofOther = run.operations.filter(({ publicWeb }) => publicWeb === 1);
      assert.deepEqual(outcomesOf({ ...run, operations: ofOther }), { answered: ofOther.length });
    });
  });

  describe('dispatcher', () => {
    it('that was idle is passed over for the other, and without any 503 is the answer', async () => {
      await process('dispatcher-0').kill();
      for (let sent = 0; sent < 20; sent++) assert.equal((await ask(web())).status, 200);

      await process('dispatcher-1').kill();
      const ids = Array.from({ length: 20 }, () => randomUUID());
      for (const id of ids) {
        const { status, body } = await ask(web(), { id });
        assert.deepEqual([status, body.code], [503, 'not-accepted']);
      }
      await startAll(...DISPATCHERS);
      assert.deepEqual(
        ids.map(runsOf),
        ids.map(() => 0),
      );
    });

    it('leaves the outcome unknown when the event was with it, and its reply still comes to the client', async () => {
      const id = randomUUID();
      await bench.emptied();
      // The event goes to dispatcher-0 and from there to the broker, and no confirm comes.
      await link('web0-dispatcher1').down();
      bench.freezeListeners();
      link('dispatcher0-broker').setFault({ drop: 'to-client' });
      const asked = ask(web(), { id });
      await eventually(async () => assert.equal((await bench.depth('waybill.ping')).unacked, 1));

      await process('dispatcher-0').kill();
      link('dispatcher0-broker').heal();
      bench.thawListeners();
      assert.equal((await asked).status, 200);
      await eventually(() => assert.deepEqual([answersTo(id), runsOf(id)], [1, 1]));
      await link('web0-dispatcher1').up();
      await startAll('dispatcher-0');
    });

    it('leaves the reply that it holds to another, which brings it to the client', async () => {
      const id = randomUUID();
      await bench.emptied();
      await process('dispatcher-1').kill();
      bench.freezeListeners();
      const asked = ask(web(), { id });
      await published(id);
      // What answers this has answered public-web before.
      await service('dispatcher-0').ready();
      service('dispatcher-0').kill('SIGSTOP');
      bench.thawListeners();
      await eventually(async () => assert.equal((await bench.depth('waybill.replies')).unacked, 1));

      await process('dispatcher-0').kill();
      await process('dispatcher-1').start();
      assert.equal((await asked).status, 200);
      await bench.emptied();
      await startAll('dispatcher-0');
      await eventually(() => assert.deepEqual([answersTo(id), runsOf(id)], [1, 1]));
    });

    it('that was killed while it delivered a reply has it delivered again, which changes nothing', async () => {
      const id = randomUUID();
      link('callback0').setFault({ drop: 'to-client' });
      assert.equal((await ask(web(), { id })).status, 200);

      await Promise.all(DISPATCHERS.map((name) => process(name).kill()));
      link('callback0').heal();
      await Promise.all(DISPATCHERS.map((name) => process(name).start()));

      await replyDropped(id);
      await startedAgain();
      assert.equal(answersTo(id), 1);
    });

    it('under load leaves unknown what it had in its hands, and the other takes all the rest', async (t) => {
      const run = await underLoad(bench, { t, seed: 2, deadlineMs: DEADLINE_MS }, async (inject) => {
        await inject('kill', 'dispatcher-0', () => replace('dispatcher-0'));
      });
      const later = run.operations.filter(({ startMs }) => startMs > killedMs);
      assert.deepEqual(outcomesOf({ ...run, operations: later }), { answered: later.length });
    });
  });

  async function startedAgain(): Promise<void> {
    await Promise.all(DISPATCHERS.map((name) => service(name).ready()));
    assert.ok(await recovered(bench.system().urls), 'answers again');
    await bench.emptied();
  }

  describe('listener', () => {
    it('under load has every event handled by the other, and every client answered', async (t) => {
      const run = await underLoad(bench, { t, seed: 3, deadlineMs: DEADLINE_MS }, async (inject) => {
        await inject('kill', 'ping-listener-0', () => replace('ping-listener-0'));
      });
      t.diagnostic(`ran again: ${[...run.evidence.ran.values()].filter(({ length }) => length > 1).length}`);
      assert.deepEqual(outcomesOf(run), { answered: run.operations.length });
    });
  });
});
