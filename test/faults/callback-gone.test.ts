import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { REPLIES_QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { hang, type OnBatch, respond } from '@waybill/test-harness/stand-in.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Call, type CallRelay, resetMidBody, startCallRelay } from './call-relay.ts';
import { ask, median } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

/** What is set aside comes back after a second; less by what a call before it may have come late to the relay. */
const SET_ASIDE_MS = 500;
/** Another address must wait neither for a callback's timeout, which is a second, nor for a second set aside. */
const UNDISTURBED_MS = 500;
const PINGS = 50;

describe('an address that takes no replies', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let relay: CallRelay;
  let sick: Service;
  let well: Service;
  let dispatcher: Service;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    relay = await startCallRelay();
    dispatcher = await tiers.startDispatcher();
    await tiers.start({ name: 'ping-listener' });
    [sick, well] = await Promise.all([
      tiers.startPublicWeb({ INTERNAL_URL: relay.url }),
      tiers.startPublicWeb(),
    ]);
  });
  after(async () => {
    await tiers?.stopAll();
    await relay?.close();
    await broker?.close();
  });
  const heal = () => relay.forwardTo(`http://127.0.0.1:${sick.internalPort}`);
  afterEach(async () => {
    heal();
    await broker.emptied({ prefix: REPLIES_QUEUE });
  });

  /** The calls that carried the reply with `sentAt`. */
  const callsWith = (sentAt: number) => relay.calls.filter((call) => carries(call, sentAt));
  const latency = async () => {
    const waits = [];
    for (let sent = 0; sent < PINGS; sent += 1) {
      const { status, waitMs } = await ask(well);
      assert.equal(status, 200);
      waits.push(waitMs);
    }
    return median(waits);
  };

  const faults: Record<string, OnBatch> = {
    hangs: hang,
    'answers 503': respond(503),
    'resets in the middle of its answer': resetMidBody,
  };
  for (const [index, [name, onBatch]] of Object.entries(faults).entries())
    it(`because it ${name} has its replies set aside for a second each, delays no other, and gets them when it is well`, async (t) => {
      const quietMs = await latency();
      relay.treat(onBatch);
      const sentAt = 1_000 + index;
      const answer = ask(sick, { data: { sentAt } });
      await relay.call((call) => carries(call, sentAt));

      const disturbedMs = await latency();
      t.diagnostic(
        `others: ${quietMs.toFixed(1)} ms before, ${disturbedMs.toFixed(1)} ms meanwhile (median)`,
      );
      assert.ok(disturbedMs < 5 * quietMs + UNDISTURBED_MS);
      await eventually(() => assert.ok(callsWith(sentAt).length >= 3));
      const times = callsWith(sentAt).map(({ atMs }) => atMs);
      const pauses = times.slice(1).map((atMs, call) => atMs - (times[call] as number));
      assert.ok(Math.min(...pauses) >= SET_ASIDE_MS, `tried again after ${pauses}`);

      heal();
      const { status, body } = await answer;
      assert.deepEqual([status, (body.data as { sentAt: number }).sentAt], [200, sentAt]);
    });

  it('until the deadline has its reply set aside no longer: the client was told 504', async () => {
    relay.treat(hang);
    const { status } = await ask(sick, { data: { sentAt: 2_000 }, waitS: 3 });
    assert.equal(status, 504);
    const [reply] = callsWith(2_000)[0]?.events ?? [];
    assert.ok(reply);
    await dispatcher.waitForLog(({ msg, event_id, outcome }) => {
      return msg === 'reply routed' && event_id === reply.id && outcome === 'expired';
    });
    const tries = callsWith(2_000).length;
    heal();
    assert.equal((await ask(sick)).status, 200);
    assert.equal(callsWith(2_000).length, tries);
  });

  it('because it is another instance now has its replies dropped at once', async () => {
    relay.treat(respond(410));
    const { status } = await ask(sick, { id: randomUUID(), data: { sentAt: 3_000 }, waitS: 2 });
    assert.equal(status, 504);
    assert.equal(callsWith(3_000).length, 1);
    const [reply] = callsWith(3_000)[0]?.events ?? [];
    await dispatcher.waitForLog(({ msg, event_id, outcome }) => {
      return msg === 'reply routed' && event_id === reply?.id && outcome === 'gone';
    });
    await broker.emptied({ prefix: REPLIES_QUEUE });
  });
});

function carries({ events }: Call, sentAt: number): boolean {
  return events.some(({ data }) => (data as { sentAt?: number } | undefined)?.sentAt === sentAt);
}
