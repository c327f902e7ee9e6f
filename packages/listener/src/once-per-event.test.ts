import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { pino } from 'pino';
import type { Handler, HandlerContext, HandlerResult } from './handler.ts';
import { createListenerBench, type ListenerBench, makeRequest } from './listener-bench.fixture.ts';
import { type OncePerEventOptions, oncePerEvent } from './once-per-event.ts';
import { createMemoryResultStore } from './result-store.ts';

const event: CloudEvent = { specversion: '1.0', id: 'e1', source: '/test', type: 'Test' };
const context: HandlerContext = {
  attempt: 1,
  signal: new AbortController().signal,
  stopping: new AbortController().signal,
  log: pino({ level: 'silent' }),
  request: () => assert.fail('nothing is asked'),
  publish: () => assert.fail('nothing is published'),
};

describe('a handler that is run once per event', () => {
  it('is given the same result for an event that was handled, with the same ids', async () => {
    const { handle, effects } = counted((count) => ({
      reply: { type: 'Answer', data: count },
      events: [{ type: 'Further' }, { type: 'Further', id: 'own' }],
    }));
    const first = (await handle(event, context)) as HandlerResult;
    const second = await handle({ ...event, correlationid: 'another' }, context);
    assert.deepEqual(second, first);
    assert.equal(effects(), 1);
    assert.match(String(first.reply?.id), /^[0-9a-f-]{36}$/);
    assert.match(String(first.events?.[0]?.id), /^[0-9a-f-]{36}$/);
    assert.equal(first.events?.[1]?.id, 'own');
  });

  it('is run once where it returns nothing', async () => {
    const { handle, effects } = counted(() => undefined);
    await handle(event, context);
    await handle(event, context);
    assert.equal(effects(), 1);
  });

  it('is run for every other id and every other source', async () => {
    const { handle, effects } = counted(() => ({}));
    for (const changes of [{}, { id: 'e2' }, { source: '/other' }, { id: '', source: '/teste1' }])
      await handle({ ...event, ...changes }, context);
    assert.equal(effects(), 4);
  });

  it('is run again after an attempt that failed', async () => {
    const { handle, effects } = counted((count) => {
      if (count === 1) throw new Error('no');
      return { reply: { type: 'Answer', data: count } };
    });
    await assert.rejects(async () => handle(event, context), { message: 'no' });
    assert.equal(((await handle(event, context)) as HandlerResult).reply?.data, 2);
    assert.equal(effects(), 2);
  });

  it('is joined by the same event while it runs', async () => {
    const gate = Promise.withResolvers<HandlerResult>();
    const { handle, effects } = counted(() => gate.promise);
    const all = Array.from({ length: 10 }, () => handle(event, context));
    gate.resolve({ reply: { type: 'Answer' } });
    assert.equal(new Set(await Promise.all(all)).size, 1);
    assert.equal(effects(), 1);
  });

  it('fails for the one whose attempt failed, and those who joined it have one of their own, together', async () => {
    const { handle, effects } = counted(async (count) => {
      if (count === 1) throw new Error('no');
      return { reply: { type: 'Answer', data: count } };
    });
    const all = Array.from({ length: 10 }, async () => handle(event, context));
    const [first, ...others] = await Promise.allSettled(all);
    assert.equal(first?.status, 'rejected');
    assert.ok(others.every(({ status }) => status === 'fulfilled'));
    assert.equal(effects(), 2);
  });

  it('is not run for one that joined and is no longer wanted', async () => {
    const gate = Promise.withResolvers<HandlerResult>();
    const { handle, effects } = counted(() => gate.promise);
    const first = assert.rejects(async () => handle(event, context));
    const joined = new AbortController();
    const second = assert.rejects(async () => handle(event, { ...context, signal: joined.signal }), {
      message: 'lost',
    });
    joined.abort(new Error('lost'));
    gate.reject(new Error('no'));
    await Promise.all([first, second]);
    assert.equal(effects(), 1);
  });

  it('is not run when its attempt ended before the store had answered', async () => {
    const gate = Promise.withResolvers<undefined>();
    const store = { get: () => gate.promise, set() {} };
    const { handle, effects } = counted(() => ({}), { store });
    const attempt = new AbortController();
    const ended = assert.rejects(async () => handle(event, { ...context, signal: attempt.signal }), {
      message: 'too late',
    });
    attempt.abort(new Error('too late'));
    gate.resolve(undefined);
    await ended;
    assert.equal(effects(), 0);
    await handle(event, context);
    assert.equal(effects(), 1);
  });

  it('is run again for an event whose attempt has not settled within the window', async () => {
    const { handle, effects } = counted((count) => (count === 1 ? new Promise(() => {}) : {}), {
      windowMs: 0,
    });
    void handle(event, context);
    await handle(event, context);
    assert.equal(effects(), 2);
  });

  it('is not run while the store does not answer, and has its result once it cannot be remembered', async () => {
    const memory = createMemoryResultStore({ windowMs: 60_000, maxEvents: 10 });
    const down = () => Promise.reject(new Error('down'));
    const unreadable = counted(() => ({}), { store: { ...memory, get: down } });
    await assert.rejects(async () => unreadable.handle(event, context), { message: 'down' });
    assert.equal(unreadable.effects(), 0);
    const unwritable = counted(() => ({ reply: { type: 'Answer' } }), { store: { ...memory, set: down } });
    assert.equal(((await unwritable.handle(event, context)) as HandlerResult).reply?.type, 'Answer');
  });
});

describe('a listener process whose handler is run once per event', { concurrency: 2 }, () => {
  let bench: ListenerBench;
  const folder = mkdtempSync(join(tmpdir(), 'waybill-once-'));
  before(async () => {
    bench = await createListenerBench();
  });
  after(async () => {
    await bench.close();
    rmSync(folder, { recursive: true });
  });

  it('answers a duplicate, in the same message or later, with the same reply', async () => {
    const service = 'once';
    const listener = await bench.startReady(service);
    const first = makeRequest(service, 'Once', { data: { comings: 2 } });
    const [second, third] = [duplicate(first), duplicate(first)];
    await bench.send([first, second]);
    await bench.replyTo(first);
    await bench.send(third);
    const replies = await Promise.all([first, second, third].map((sent) => bench.replyTo(sent)));
    assert.equal(new Set(replies.map(({ id, data }) => `${id} ${data}`)).size, 1);
    await effectIn(listener, first);
    assert.equal(effectsIn(listener.logs, first), 1);
  });

  it('goes on with what it was at when its connection broke, and answers the redelivery with that', async (t) => {
    const service = 'once-reconnected';
    const proxy = await startTcpProxy({ target: bench.broker.url });
    t.after(() => proxy.close());
    const listener = await bench.startReady(service, { url: proxy.through(bench.broker.url) });
    const sent = makeRequest(service, 'Once', { data: { comings: 2 } });
    await bench.send(sent);
    await effectIn(listener, sent);
    proxy.reset();
    await bench.replyTo(sent);
    await bench.broker.emptied({ prefix: `waybill.${service}` });
    assert.equal(effectsIn(listener.logs, sent), 1);
    assert.equal(bench.repliesTo(sent).length, 1);
  });

  it('knows nothing of what was handled before a kill -9, with its store in memory', async () => {
    const [, second, sent] = await killBeforeAck('once-killed', 'Once');
    await bench.waitForReplies(() => bench.repliesTo(sent).length === 2);
    const [one, two] = bench.repliesTo(sent);
    assert.notEqual(two?.data, one?.data);
    await effectIn(second, sent);
  });

  it('knows what was handled before a kill -9, with its results in the store', async (t) => {
    const RESULTS_SECRETS = 'a-secret-that-only-listeners-know';
    const store = await startService({
      name: 'store',
      env: {
        ...{ INTERNAL_SECRETS: 'a-secret-that-only-this-test-knows', RESULTS_SECRETS },
        DATABASE_URL: `sqlite:${folder}/store.db`,
      },
    });
    t.after(() => store.stop());
    const env = { STORE_URLS: store.baseUrl, RESULTS_SECRETS };
    const [, second, sent] = await killBeforeAck('once-stored', 'OnceStored', env);
    await bench.waitForReplies(() => bench.repliesTo(sent).length === 2);
    const [one, two] = bench.repliesTo(sent);
    assert.deepEqual([two?.id, two?.data], [one?.id, one?.data]);
    await second.waitForLog(({ msg, event_id }) => msg === 'finished' && event_id === sent.id);
    assert.equal(effectsIn(second.logs, sent), 0);
  });

  /** An event is handled and answered, and its process dies before the ack, which a neighbour holds back. */
  async function killBeforeAck(
    service: string,
    behaviour: string,
    env: Record<string, string> = {},
  ): Promise<[Service, Service, CloudEvent]> {
    const first = await bench.startReady(service, { env });
    const sent = makeRequest(service, behaviour, { data: { comings: 1 } });
    await bench.send([sent, makeRequest(service, 'Hold')]);
    await bench.replyTo(sent);
    await effectIn(first, sent);
    first.kill('SIGKILL');
    return [first, await bench.startReady(service, { env }), sent];
  }
});

/** The same event from somebody else who waits. */
function duplicate({ id, source, type, data }: CloudEvent): CloudEvent {
  return makeRequest('', '', { id, source, type, data });
}

/** Resolves when the effect has left its line, which may come later than the reply. */
function effectIn(listener: Service, { id }: CloudEvent): Promise<unknown> {
  return listener.waitForLog(({ msg, event_id }) => msg === 'effect' && event_id === id);
}

function effectsIn(lines: LogLine[], { id }: CloudEvent): number {
  return lines.filter(({ msg, event_id }) => msg === 'effect' && event_id === id).length;
}

/** A handler whose runs are counted; `run` is given its number. */
function counted(
  run: (count: number) => ReturnType<Handler>,
  options?: OncePerEventOptions,
): { handle: Handler; effects(): number } {
  let effects = 0;
  const handle = oncePerEvent(() => {
    effects += 1;
    return run(effects);
  }, options);
  return { handle, effects: () => effects };
}
