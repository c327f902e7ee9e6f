import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createIsolation, type Isolation } from './isolation.ts';
import {
  batchesOf,
  createListenerBench,
  type ListenerBench,
  makeRequest,
  type Phoenix,
} from './listener-bench.fixture.ts';

/** As many deaths as one guilty event may cause. */
const MAX_DEATHS = 5;

describe('events whose handler kills the process', { concurrency: 2 }, () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  for (const [how, place] of [
    ['exit', 0],
    ['SIGKILL', 15],
  ] as const)
    it(`are given up once, after ${MAX_DEATHS} deaths, and all others answered (${how}, place ${place})`, async (t) => {
      const service = `batch-of-${how.toLowerCase()}`;
      const guilty = kill(service, { how });
      // A prefetch full, so that isolating it takes longer than the guilty one needs to strike again.
      const innocent = innocents(service, 15 + 16 * 16);
      const phoenix = await run(t, service, [
        innocent.slice(0, 15).toSpliced(place, 0, guilty),
        ...batchesOf(16, innocent.slice(15)),
      ]);

      await expectAnswered(innocent);
      await expectGivenUp(guilty, MAX_DEATHS);
      await bench.broker.emptied({ prefix: `waybill.${service}`, timeoutMs: 90_000 });
      assert.ok(phoenix.deaths() <= MAX_DEATHS, `${phoenix.deaths()} deaths`);
      assert.equal(bench.deadLetters().filter(({ body }) => body.includes(guilty.id)).length, 1);
    });

  it('are told from the innocent ones among many: several in one batch, single ones, quick and slow', async (t) => {
    const service = 'crowd';
    const inBatch = [kill(service), kill(service, { ms: 30 })];
    const single = kill(service, { how: 'SIGKILL' });
    const innocent = innocents(service, 40);
    const phoenix = await run(t, service, [
      [...innocent.slice(0, 5), ...inBatch, ...innocent.slice(5, 10)],
      ...innocent.slice(10, 30).map((event) => [event]),
      [single],
      ...innocent.slice(30).map((event) => [event]),
    ]);

    await expectAnswered(innocent);
    for (const guilty of [...inBatch, single]) await expectGivenUp(guilty, MAX_DEATHS);
    assert.ok(phoenix.deaths() <= 3 * MAX_DEATHS, `${phoenix.deaths()} deaths`);
  });

  it('are remembered over an attempt that merely fails', async (t) => {
    const service = 'stumbling';
    const guilty = kill(service, { stumbles: true });
    await prepare(service);
    await bench.send(guilty, isolated(service, { crashes: 4 }));
    const phoenix = await raise(t, service);

    assert.equal((await expectGivenUp(guilty, MAX_DEATHS)).attempts, 2);
    assert.equal(phoenix.deaths(), 1);
  });

  it('do not count against a suspect, which is tried before anything else is started', async (t) => {
    const service = 'suspect';
    const suspects = innocents(service, 1, { ms: 300 });
    const guilty = kill(service, { ms: 30 });
    await prepare(service);
    await bench.send(suspects, isolated(service, { crashes: 4 }));
    await bench.send(guilty);
    await raise(t, service);

    await expectAnswered(suspects);
    await expectGivenUp(guilty, MAX_DEATHS);
  });

  it('hold up the next suspect only until they may count as innocent', async (t) => {
    const service = 'abreast';
    const suspects = Array.from({ length: 8 }, () => makeRequest(service, 'Work', { data: { ms: 1_500 } }));
    const listener = await bench.startReady(service);
    t.after(() => listener.kill('SIGKILL'));
    for (const suspect of suspects) await bench.send(suspect, isolated(service, { crashes: 2 }));
    const replies = await Promise.all(suspects.map((suspect) => bench.replyTo(suspect)));
    const abreast = Math.max(...replies.map(({ data }) => (data as { underWay: number }).underWay));
    assert.ok(abreast >= 4, `${abreast} at once`);
  });

  it('are told from slow innocent ones that were started beside them', async (t) => {
    const service = 'late';
    const innocent = innocents(service, 6, { ms: 900 });
    const guilty = kill(service, { ms: 400 });
    await prepare(service);
    for (const suspect of [...innocent.slice(0, 3), guilty, ...innocent.slice(3)])
      await bench.send(suspect, isolated(service, { crashes: 2 }));
    const phoenix = await raise(t, service);
    await expectAnswered(innocent);
    await expectGivenUp(guilty, MAX_DEATHS);
    assert.equal(phoenix.deaths(), MAX_DEATHS - 2);
  });

  it('are run alone, when they were on board of a death in isolation', async (t) => {
    const service = 'alone';
    const suspect = makeRequest(service, 'Work', { data: { ms: 300 } });
    const others = Array.from({ length: 20 }, () => makeRequest(service, 'Work', { data: { ms: 0 } }));
    const listener = await bench.startReady(service);
    t.after(() => listener.kill('SIGKILL'));

    await bench.send(suspect, isolated(service, { crashes: 3 }));
    await listener.waitForLog(({ msg, event_id }) => msg === 'started' && event_id === suspect.id);
    await bench.send(others);
    await Promise.all(others.map((event) => bench.replyTo(event)));

    const lines = () => listener.logs.filter(({ msg }) => msg === 'started' || msg === 'finished');
    await listener.waitForLog(() => lines().length === 2 * (1 + others.length));
    const ids = lines().map(({ event_id }) => event_id);
    assert.deepEqual(ids.slice(0, 2), [suspect.id, suspect.id]);
  });

  function kill(service: string, data: object = {}): CloudEvent {
    return makeRequest(service, 'Kill', { data: { kills: true, ...data } });
  }

  function innocents(service: string, count: number, data: object = {}): CloudEvent[] {
    return Array.from({ length: count }, () => makeRequest(service, 'Kill', { data }));
  }

  /** Has the queues of `service` declared. */
  async function prepare(service: string): Promise<void> {
    await (await bench.startReady(service)).stop();
  }

  async function raise(t: TestContext, service: string): Promise<Phoenix> {
    const phoenix = await bench.startPhoenix(service);
    t.after(() => phoenix.stop());
    return phoenix;
  }

  /** Puts `messages` where a listener finds them all at once, and keeps it running. */
  async function run(t: TestContext, service: string, messages: CloudEvent[][]): Promise<Phoenix> {
    await prepare(service);
    for (const message of messages) await bench.send(message);
    return raise(t, service);
  }

  /** For an event that was on board of so many crashes. */
  function isolated(service: string, { crashes }: { crashes: number }) {
    return { to: { isolated: service }, headers: { 'waybill-crashes': crashes } };
  }

  async function expectAnswered(events: CloudEvent[]): Promise<void> {
    const replies = await Promise.all(events.map((event) => bench.replyTo(event)));
    for (const { data } of replies) assert.deepEqual(data, { survived: true });
    const ids = new Set(events.map(({ id }) => id));
    assert.deepEqual(
      bench.deadLetters().filter(({ body }) => ids.has(JSON.parse(body).id)),
      [],
    );
  }

  async function expectGivenUp(guilty: CloudEvent, crashes: number) {
    const { type, data } = await bench.replyTo(guilty);
    assert.equal(type, 'waybill.Problem');
    const { status, reason, event_id } = data as Record<string, unknown>;
    assert.deepEqual(
      { status, reason, event_id },
      { status: 502, reason: 'listener-crashed', event_id: guilty.id },
    );
    const dead = await bench.deadLetter(guilty.id);
    assert.equal(dead.reason, 'listener-crashed');
    assert.match(dead.message, new RegExp(`^${crashes} processes died`));
    return dead;
  }
});

describe('the order of suspects', () => {
  /** A suspect that ends when told to. */
  function startSuspect(isolation: Isolation, { isAlone = false, onInnocent = () => {} } = {}) {
    const started = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const run = () => {
      started.resolve();
      return end.promise;
    };
    const ended = isolation.runSuspect(run, { isAlone, onInnocent });
    return { started: started.promise, finish: end.resolve, ended };
  }

  it('one that takes long holds up neither other events nor the next suspect until its end', async () => {
    const isolation = createIsolation();
    const innocent = Promise.withResolvers<void>();
    const slow = startSuspect(isolation, { onInnocent: innocent.resolve });
    await isolation.whenNoneRuns();
    await innocent.promise;
    const next = startSuspect(isolation);
    await next.started;
    slow.finish();
    next.finish();
    await Promise.all([slow.ended, next.ended]);
  });

  it('one that has to run alone waits for those before it, and lets none start until its end', async () => {
    const isolation = createIsolation();
    const order: string[] = [];
    const slow = startSuspect(isolation);
    const onInnocent = () => void order.push('innocent');
    const alone = startSuspect(isolation, { isAlone: true, onInnocent });
    void alone.started.then(() => order.push('alone'));
    await isolation.whenNoneRuns();
    order.push('slow ends');
    slow.finish();
    await alone.started;
    // Other events wait for a second at the most.
    await isolation.whenNoneRuns();
    order.push('alone ends');
    alone.finish();
    await alone.ended;
    assert.deepEqual(order, ['slow ends', 'alone', 'alone ends']);
  });
});
