/** Links between processes that are reset, slow, torn into single bytes, or silent where HTTP goes through them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import type { Fault } from '@waybill/test-harness/tcp-proxy.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { type Answer, ask } from './client.ts';
import { type ProcessName, useFaultySystem } from './fault-bench.ts';
import { TARGETS } from './schedule.ts';
import { isOfSlowBroker, outcomesOf, underLoad } from './under-load.ts';

const DEADLINE_MS = 15_000;
const WEBS = ['public-web-0', 'public-web-1'] as const;
/** Less than a heartbeat, which would notice it too. */
const AT_ONCE_MS = 4_000;
const PINGS = 20;
const LEFT = 'dispatcher does not accept events';
const FOUND = 'dispatcher accepts events again';
/** More than a public-web's longest wait for a dispatcher's answer. */
const CALL_S = 8;
/** That, and as much again for a busy machine. */
const CALL_MS = 16_000;
/** Who is at the broker through a link. */
const AT_THE_BROKER: [string, ProcessName][] = [
  ['dispatcher0-broker', 'dispatcher-0'],
  ['dispatcher1-broker', 'dispatcher-1'],
  ['listener0-broker', 'ping-listener-0'],
  ['listener1-broker', 'ping-listener-1'],
];

describe('a link', { skip: rabbitmqMissing }, () => {
  const bench = useFaultySystem({ deadlineMs: DEADLINE_MS });
  const { service, link } = bench;

  it('of any kind that is reset under load is noticed at once, and replaced', async (t) => {
    const run = await underLoad(bench, { t, seed: 1, deadlineMs: DEADLINE_MS }, async (inject) => {
      for (const name of TARGETS.links) {
        const lossBefore = losses(name);
        await inject('reset', name, async () => link(name).reset());
        await eventually(() => assert.ok(losses(name) >= lossBefore + 2), { timeoutMs: AT_ONCE_MS });
      }
    });
    t.diagnostic(JSON.stringify(outcomesOf(run)));
  });

  /** Connections to the broker lost, of the process behind the link; always enough for links that lead elsewhere. */
  function losses(name: string): number {
    const process = AT_THE_BROKER.find(([linkName]) => linkName === name)?.[1];
    if (!process) return Number.POSITIVE_INFINITY;
    return service(process).logs.filter(({ msg }) => msg === 'connection to the broker lost').length;
  }

  for (const [how, { pings, ...fault }] of Object.entries<Fault & { pings: number }>({
    'is slow by 30 ms a chunk': { delayMs: 30, pings: PINGS },
    'carries single bytes': { sliceBytes: 1, pings: 5 },
  }))
    it(`that ${how}, as all others do, fails no request`, async () => {
      for (const name of TARGETS.links) link(name).setFault(fault);
      const asked = WEBS.flatMap((web) =>
        Array.from({ length: pings }, () => statusUnlessSlow(service(web))),
      );
      const statuses = await Promise.all(asked);
      for (const name of TARGETS.links) link(name).heal();
      assert.deepEqual(
        statuses,
        statuses.map(() => 200),
      );
      await bench.emptied();
    });

  it('to a dispatcher that is silent is left for the other after one call, and found again', async () => {
    const web = service('public-web-0');
    const pings = () => Promise.all(Array.from({ length: PINGS }, () => ask(web, { waitS: CALL_S })));
    const count = (wanted: string) => service('public-web-0').logs.filter(({ msg }) => msg === wanted).length;
    const [leftBefore, foundBefore] = [count(LEFT), count(FOUND)];
    link('web0-dispatcher0').setFault({ drop: 'both' });
    const answers: Answer[] = [];
    const haveLeft = async () => {
      answers.push(...(await pings()));
      assert.ok(count(LEFT) > leftBefore);
    };
    await eventually(haveLeft, { timeoutMs: CALL_MS });

    // Clients whose event went that way are not told that it did not run.
    const statuses = new Set(answers.map(({ status }) => status));
    assert.deepEqual(statuses, statuses.has(200) ? new Set([200, 504]) : new Set([504]));
    assert.deepEqual(statusesOf(await pings()), all(200));
    link('web0-dispatcher0').heal();
    await eventually(() => assert.ok(count(FOUND) > foundBefore));
    assert.deepEqual(statusesOf(await pings()), all(200));
  });

  it('to a public-web that is silent holds up its own replies alone, until it is well', async () => {
    link('callback0').setFault({ drop: 'both' });
    const waiting = Promise.all(Array.from({ length: PINGS }, () => ask(service('public-web-0'))));
    await eventually(async () => assert.ok((await bench.depth('waybill.replies.retry')).ready > 0));
    for (let sent = 0; sent < PINGS; sent++) assert.equal((await ask(service('public-web-1'))).status, 200);
    link('callback0').heal();
    assert.deepEqual(statusesOf(await waiting), all(200));
    await bench.emptied();
  });
});

/** The status, or what broke the connection. Asks again, for 10 s at most, when a busy machine's broker was too slow. */
function statusUnlessSlow(web: Service): Promise<number | Error> {
  return eventually(async () => {
    const answer = await ask(web).catch((error: Error) => error);
    if (answer instanceof Error) return answer;
    const { status, body } = answer;
    assert.equal(isOfSlowBroker({ status, detail: body.detail ?? '' }), false);
    return status;
  });
}

const statusesOf = (answers: Answer[]) => answers.map(({ status }) => status);
const all = (status: number) => Array.from({ length: PINGS }, () => status);
