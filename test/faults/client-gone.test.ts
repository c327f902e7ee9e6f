import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { MAX_PARTIAL_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type CallRelay, startCallRelay } from './call-relay.ts';
import { ask } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

/** Tries to have a client go while its event waits, which it may for a second at most, on a machine that may be slow. */
const ROUNDS = 10;
/** How long a client that goes waits to be noticed: half of what its event may wait. */
const NOTICED_MS = 500;
/** Longer than it takes to see that a place is free, on a machine that may be slow. */
const WORK_MS = 8_000;

describe('a client that goes away', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let relay: CallRelay;
  let dispatcher: Service;
  let listener: Service;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    relay = await startCallRelay();
    dispatcher = await tiers.startDispatcher();
    relay.forwardTo(dispatcher.baseUrl);
    listener = await tiers.startBehaviours();
  });
  after(async () => {
    await tiers?.stopAll();
    await relay?.close();
    await broker?.close();
  });

  const startWeb = (env: Record<string, string> = {}) =>
    tiers.startPublicWeb({ DISPATCHER_URLS: relay.url, ...env });
  const isOf = (id: string, message: string) => (line: { msg?: string; event_id?: unknown }) =>
    line.msg === message && line.event_id === id;
  const isGone = (web: Service, id: string) =>
    web.logs.some((line) => isOf(id, 'event answered')(line) && line.outcome === 'client-gone');

  it('after its event was sent frees its place at once, and the reply is dropped and counted', async () => {
    const web = await startWeb({ MAX_PARKED: '1' });
    const id = randomUUID();
    const leaving = new AbortController();
    const left = ask(web, { type: 'behaviours.Work', id, data: { ms: WORK_MS }, signal: leaving.signal });
    left.catch(() => {});
    await listener.waitForLog(isOf(id, 'started'));
    assert.equal((await ask(web)).status, 503, 'the only place is taken');

    leaving.abort();
    await assert.rejects(left);
    await eventually(async () => assert.equal((await ask(web, { type: 'behaviours.Echo' })).status, 200));
    assert.ok(!listener.logs.some(isOf(id, 'finished')), 'the place was free before the reply');
    await eventually(() => assert.ok(isGone(web, id)));

    await web.waitForLog(({ msg }) => msg === 'replies nobody waits for');
    await dispatcher.waitForLog(({ msg, outcome }) => msg === 'reply routed' && outcome === 'gone');
    await broker.emptied();
  });

  it('before its event was sent leaves nothing that runs', async () => {
    const web = await startWeb();
    let id = randomUUID();
    for (let round = 1; !(await goWhileWaiting(web, id)); round += 1) {
      assert.ok(round < ROUNDS, `no client was quick enough in ${ROUNDS} rounds`);
      id = randomUUID();
    }
    // Behind it in every queue, so that an event sent by mistake would have come.
    await eventually(async () => assert.equal((await ask(web, { type: 'behaviours.Echo' })).status, 200));
    assert.ok(!dispatcher.logs.some(isOf(id, 'event published')));
    assert.ok(!listener.logs.some(isOf(id, 'started')));
  });

  /** Holds as many calls as may be under way, and has the client of one more event go: whether that was noticed meanwhile. */
  async function goWhileWaiting(web: Service, id: string): Promise<boolean> {
    const release = relay.hold();
    const ahead = [];
    for (let sent = 1; sent <= MAX_PARTIAL_BATCHES_IN_FLIGHT; sent += 1) {
      const idAhead = randomUUID();
      ahead.push(ask(web, { type: 'behaviours.Echo', id: idAhead }));
      await relay.call(({ events }) => events.some((event) => event.id === idAhead));
    }
    const leaving = new AbortController();
    const left = ask(web, { type: 'behaviours.Echo', id, signal: leaving.signal });
    left.catch(() => {});
    await letItRead(web);
    leaving.abort();
    await left.catch(() => {});
    // The end of a connection alone does not say that its client has gone; it is found out soon after.
    const wasNoticed = await eventually(() => assert.ok(isGone(web, id)), { timeoutMs: NOTICED_MS }).then(
      () => true,
      () => false,
    );
    release();
    await Promise.all(ahead);
    return wasNoticed;
  }
});

/** Answers to what was sent later: what came before has been taken in. */
async function letItRead(web: Service): Promise<void> {
  for (let asked = 0; asked < 3; asked += 1) await fetch(`${web.baseUrl}/health/live`);
}
