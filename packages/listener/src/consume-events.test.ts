import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { startTcpProxy } from '../../../test/harness/tcp-proxy.ts';
import {
  attemptsIn,
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from './listener-bench.fixture.ts';

describe('a listener whose connection is lost', { concurrency: true }, () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  /** A listener behind a proxy. */
  async function startCut(t: TestContext, service: string, concurrency = 64) {
    const proxy = await startTcpProxy({ target: bench.broker.url });
    t.after(() => proxy.close());
    const listener = await bench.startReady(service, { url: proxy.through(bench.broker.url), concurrency });
    return { proxy, listener };
  }

  it('tells the handler, starts nothing more of what was lost, and gets it again', async (t) => {
    const service = 'lost';
    const { proxy, listener } = await startCut(t, service, 1);
    // One at a time: the second waits for the first, which never ends.
    const [held, waiting] = [makeRequest(service, 'Hold'), makeRequest(service, 'Echo')];
    await bench.send([held, waiting]);
    await listener.waitForLog(({ event_id }) => event_id === held.id);

    proxy.reset();

    const aborted = await listener.waitForLog(
      ({ msg, event_id }) => msg === 'aborted' && event_id === held.id,
    );
    assert.equal(aborted.reason, 'delivery-lost');
    await listener.waitForLog(() => attemptsIn(listener.logs, held).length === 2);
    assert.equal(attemptsIn(listener.logs, waiting).length, 0);
  });

  it('answers an event that was on board of two losses, neither of which was its fault', async (t) => {
    const service = 'unlucky';
    const { proxy, listener } = await startCut(t, service);
    const event = makeRequest(service, 'Work', { data: { ms: 1_000 } });
    await bench.send(event);
    for (const times of [1, 2]) {
      await listener.waitForLog(() => attemptsIn(listener.logs, event).length === times);
      proxy.reset();
    }
    assert.equal((await bench.replyTo(event)).type, `${service}.Answer`);
    await listener.waitForLog(() => attemptsIn(listener.logs, event).length === 3);
  });

  it('exits 0 on SIGTERM, though a reply still waits for the broker', async (t) => {
    const service = 'waiting';
    const { proxy, listener } = await startCut(t, service);
    const event = makeRequest(service, 'Work', { data: { ms: 500 } });
    await bench.send(event);
    await listener.waitForLog(({ event_id }) => event_id === event.id);
    proxy.setFault({ drop: 'both' });
    await listener.waitForLog(({ msg, event_id }) => msg === 'finished' && event_id === event.id);
    await proxy.close();
    await listener.waitForLog(
      ({ msg, connection }) => /lost/.test(msg ?? '') && /subscriber/.test(String(connection)),
    );

    assert.deepEqual(await listener.stop(), { code: 0, signal: null });
  });
});
