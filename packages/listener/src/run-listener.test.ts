import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import {
  attemptsIn,
  batchesOf,
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from './listener-bench.fixture.ts';

describe('a listener process', { concurrency: 4 }, () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  for (const service of ['replies', 'dead-letters', 'Capitals', ''])
    it(`refuses to start as service "${service}"`, async () => {
      await assert.rejects(bench.start(service), (error: Error) => {
        assert.match(error.message, /exited with code 1/);
        assert.match(error.message, new RegExp(`service ${service}: `));
        return true;
      });
    });

  it('starts without a broker, is not ready then, and ready once there is one', async (t) => {
    const port = await freePort();
    const url = new URL(bench.broker.url);
    url.port = String(port);
    const listener = await bench.start('early', { url: url.href });
    const health = async () => {
      const response = await fetch(`http://127.0.0.1:${listener.healthPort}/health/ready`);
      return [response.status, ((await response.json()) as { reason?: string }).reason];
    };
    await listener.waitForLog(({ msg }) => /cannot connect to the broker/.test(msg ?? ''));
    assert.deepEqual(await health(), [503, `not subscribed: no broker listens at 127.0.0.1:${port}`]);

    const proxy = await startTcpProxy({ target: bench.broker.url, port });
    t.after(() => proxy.close());
    await listener.ready();
    const event = makeRequest('early', 'Echo');
    await bench.send(event);
    assert.equal((await bench.replyTo(event)).type, 'early.Answer');
  });

  it('shares its work with another instance', async () => {
    const service = 'shared';
    await Promise.all([1, 2].map(() => bench.startReady(service, { concurrency: 2 })));
    const events = make(20, service, 'Work', { ms: 50 });
    for (const event of events) await bench.send(event);
    const replies = await Promise.all(events.map((event) => bench.replyTo(event)));
    assert.equal(new Set(replies.map(({ handledby }) => handledby)).size, 2);
    for (const event of events) assert.equal(bench.repliesTo(event).length, 1);
  });

  it('finishes on SIGTERM what it took, and exits 0; nothing is lost, and nothing handled twice', async () => {
    const service = 'drained';
    const first = await bench.startReady(service, { concurrency: 8 });
    const events = make(600, service, 'Work', { ms: 100 });
    const sent = Promise.all(batchesOf(10, events).map((batch) => bench.send(batch)));
    await first.waitForLog(({ msg }) => msg === 'finished');

    assert.deepEqual(await first.stop(), { code: 0, signal: null });

    await sent;
    const second = await bench.startReady(service);
    await Promise.all(events.map((event) => bench.replyTo(event)));
    await bench.broker.emptied({ prefix: `waybill.${service}` });
    await second.stop();
    const lines = [...first.logs, ...second.logs];
    for (const event of events) {
      assert.equal(attemptsIn(lines, event).length, 1);
      assert.equal(bench.repliesTo(event).length, 1);
    }
    assert.ok(
      second.logs.some(({ msg }) => msg === 'started'),
      'SIGTERM came after the load',
    );
  });

  it('says that it is not ready while it stops', async () => {
    const service = 'stopping';
    const listener = await bench.startReady(service);
    const event = makeRequest(service, 'Hold');
    await bench.send(event);
    await listener.waitForLog(({ event_id }) => event_id === event.id);
    const exit = listener.stop();
    await listener.waitForLog(({ msg }) => msg === 'stopping');
    const response = await fetch(`http://127.0.0.1:${listener.healthPort}/health/ready`);
    assert.equal(response.status, 503);
    assert.equal(((await response.json()) as { reason: string }).reason, 'stopping');
    listener.kill('SIGKILL');
    await assert.rejects(exit, /did not stop/);
  });

  it('tells handlers, and what else it does, that it is asked to stop, and at the end closes what else is open', async () => {
    const service = 'asked';
    const listener = await bench.startReady(service);
    const event = makeRequest(service, 'UntilStopped');
    await bench.send(event);
    await listener.waitForLog(({ event_id }) => event_id === event.id);
    assert.deepEqual(await listener.stop(), { code: 0, signal: null });
    assert.equal((await bench.replyTo(event)).data, 'stopped');
    const said = listener.logs.map(({ msg }) => msg);
    const [ended, handled, closed] = ['ends what else it does', 'finished', 'closed what else is open'].map(
      (msg) => said.indexOf(msg),
    ) as [number, number, number];
    assert.ok(ended > 0 && handled > ended && closed > handled, said.join(', '));
  });

  it('leaves on SIGTERM an event whose handler hangs to another instance, within its 10 s', async () => {
    const service = 'hanging';
    const first = await bench.startReady(service);
    const event = makeRequest(service, 'Hold');
    await bench.send(event);
    await first.waitForLog(({ event_id }) => event_id === event.id);
    const second = await bench.startReady(service);
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    await second.waitForLog(({ msg, event_id }) => msg === 'started' && event_id === event.id);
  });

  it('counts no graceful stop against what it could not finish, and repeats nothing that it did', async () => {
    const service = 'stopped';
    const [slow, quick] = [makeRequest(service, 'Hold'), makeRequest(service, 'Echo')];
    const lines: LogLine[][] = [];
    for (const stops of [0, 1, 2]) {
      const listener = await bench.startReady(service);
      lines.push(listener.logs);
      if (stops === 0) await bench.send([slow, quick], { headers: { 'waybill-failed-attempts': 2 } });
      await listener.waitForLog(({ msg, event_id }) => msg === 'started' && event_id === slow.id);
      await bench.replyTo(quick);
      // What the third one was given tells it all.
      if (stops < 2) assert.deepEqual(await listener.stop(), { code: 0, signal: null });
    }
    const all = lines.flat();
    const attempts = attemptsIn(all, slow).map(({ attempt }) => attempt);
    assert.deepEqual(attempts, [3, 3, 3]);
    assert.equal(attemptsIn(all, quick).length, 1);
    assert.equal(all.filter(({ msg }) => /isolated/.test(msg ?? '')).length, 0);
  });

  it('answers again after a kill -9 between its reply and its ack, and handles nothing else twice', async () => {
    const service = 'killed';
    const first = await bench.startReady(service);
    // The neighbour holds back the ack of their message.
    const [event, neighbour] = [makeRequest(service, 'Echo'), makeRequest(service, 'Hold')];
    const acked = makeRequest(service, 'Echo');
    await bench.send(acked);
    await bench.broker.emptied({ prefix: `waybill.${service}` });
    await bench.send([event, neighbour]);
    await bench.replyTo(event);
    first.kill('SIGKILL');
    const second = await bench.startReady(service);
    await bench.waitForReplies(() => bench.repliesTo(event).length === 2);
    const [one, two] = bench.repliesTo(event);
    assert.deepEqual(two?.data, one?.data);
    await second.waitForLog(({ msg, event_id }) => msg === 'started' && event_id === neighbour.id);
    assert.equal(attemptsIn(second.logs, acked).length, 0);
  });

  it('publishes further events at least once over a kill -9 before the ack', async () => {
    const service = 'fanning';
    const first = await bench.startReady(service);
    const fan = makeRequest(service, 'Fan', { data: { type: `${service}.Note`, count: 2 } });
    await bench.send([fan, makeRequest(service, 'Hold')]);
    await bench.replyTo(fan);
    await first.waitForLog(() => notesIn(first).size === 2);
    first.kill('SIGKILL');
    const second = await bench.startReady(service);
    await bench.waitForReplies(() => bench.repliesTo(fan).length === 2);
    // The kill may have come before the acks of the first two notes as well: then they come again too.
    await second.waitForLog(() => notesIn(second).difference(notesIn(first)).size === 2);
  });

  /** The ids of the further events that `listener` has handled. */
  const notesIn = ({ logs }: Service) =>
    new Set(
      logs
        .filter(({ msg, event_type }) => msg === 'finished' && event_type === 'fanning.Note')
        .map(({ event_id }) => event_id),
    );
});

function make(count: number, service: string, behaviour: string, data: object): CloudEvent[] {
  return Array.from({ length: count }, () => makeRequest(service, behaviour, { data }));
}
