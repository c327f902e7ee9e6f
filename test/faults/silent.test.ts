/** Peers that fall silent without a word: a frozen listener, and links that nothing comes through any more. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { type Answer, ask } from './client.ts';
import { gatherEvidence } from './evidence.ts';
import { type ProcessName, useFaultySystem } from './fault-bench.ts';
import { recovered } from './run-schedule.ts';

/** Longer than anything here takes. */
const DEADLINE_MS = 60_000;
/** Heartbeats every 5 s, two to three of which are missed: 9 to 15 s. */
const NOTICED_MS = 15_000;
/** For reconnecting, and for what two cores have to do besides. */
const BUSY_MS = 10_000;
const EVENTS = 10;

describe('a peer that falls silent', { skip: rabbitmqMissing }, () => {
  const bench = useFaultySystem({ deadlineMs: DEADLINE_MS });
  const { process, service, link } = bench;
  const urls = () => bench.system().urls;

  it('as a frozen listener loses its events to the other, and its late acks do not end it', async (t) => {
    await process('ping-listener-1').kill();
    // Some are under way at the moment it freezes, or have been answered.
    const asked = askMany();
    await eventually(() => assert.ok(asked.ids.some((id) => evidence().ran.has(id))));
    service('ping-listener-0').kill('SIGSTOP');
    // These wait in its socket.
    const more = askMany();
    await eventually(() => assert.ok(more.ids.every((id) => evidence().confirmed.has(id))));
    await eventually(async () => assert.ok((await bench.depth('waybill.ping')).unacked > 0));
    await process('ping-listener-1').start();

    await assertAnsweredInTime(t, asked);
    await assertAnsweredInTime(t, more);
    service('ping-listener-0').kill('SIGCONT');
    await mended('ping-listener-0', asked.startedMs);
    assert.equal(process('ping-listener-0').services.length, 1);
  });

  it('as a link of a listener loses its events to the other', async (t) => {
    await process('ping-listener-1').kill();
    service('ping-listener-0').kill('SIGSTOP');
    const asked = askMany();
    await eventually(async () => assert.ok((await bench.depth('waybill.ping')).unacked > 0));
    link('listener0-broker').setFault({ drop: 'to-server' });
    service('ping-listener-0').kill('SIGCONT');
    await process('ping-listener-1').start();

    await assertAnsweredInTime(t, asked);
    link('listener0-broker').heal();
    await mended('ping-listener-0', asked.startedMs);
  });

  it('as a link of a dispatcher makes the other take all events and replies', async (t) => {
    const startedMs = Date.now();
    link('dispatcher0-broker').setFault({ drop: 'both' });
    assert.ok(await recoveredIn(NOTICED_MS + BUSY_MS), 'answers without being healed');
    t.diagnostic(`every client is answered again after ${Date.now() - startedMs} ms`);
    link('dispatcher0-broker').heal();
    await mended('dispatcher-0', startedMs);
  });

  type Asked = { ids: string[]; answers: Promise<Answer>[]; startedMs: number };

  function askMany(): Asked {
    const startedMs = Date.now();
    const ids = Array.from({ length: EVENTS }, () => randomUUID());
    return { ids, startedMs, answers: ids.map((id) => ask(service('public-web-0'), { id })) };
  }

  async function assertAnsweredInTime(t: TestContext, { answers }: Asked): Promise<void> {
    const all = await Promise.all(answers);
    const slowestMs = Math.round(Math.max(...all.map(({ waitMs }) => waitMs)));
    t.diagnostic(`the last of ${EVENTS} was answered after ${slowestMs} ms`);
    assert.deepEqual(
      all.map(({ status }) => status),
      all.map(() => 200),
    );
    assert.ok(slowestMs <= NOTICED_MS + BUSY_MS);
  }

  /** It has lost its connections, has new ones, and everything is answered and done. */
  async function mended(name: ProcessName, sinceMs: number): Promise<void> {
    const isLoss = ({ msg, time }: { msg?: string; time?: unknown }) =>
      msg === 'connection to the broker lost' && Number(time) >= sinceMs;
    const isReturn = ({ msg, time }: { msg?: string; time?: unknown }) =>
      msg === 'connected to the broker' && Number(time) >= Number(loss.time);
    const loss = await service(name).waitForLog(isLoss, NOTICED_MS + BUSY_MS);
    await service(name).waitForLog(isReturn, NOTICED_MS + BUSY_MS);
    await service(name).ready();
    assert.ok(await recovered(urls()), 'answers again');
    await bench.emptied();
  }

  async function recoveredIn(timeoutMs: number): Promise<boolean> {
    const startedMs = Date.now();
    const recoveredMs = await recovered(urls());
    return recoveredMs !== undefined && recoveredMs - startedMs <= timeoutMs;
  }

  const evidence = () => gatherEvidence(bench.system());
});
