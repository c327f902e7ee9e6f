/** Requests that meet, at one instance or at several that share a store, at a route whose handler the test plays. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import type { Caller } from '../admission/admission.ts';
import { createHeldReplies } from '../replies/held-replies.ts';
import { createIdempotencyHooks } from '../ways-in/http/idempotency-hooks.ts';
import { createIdempotency } from './idempotency.ts';
import {
  createMemoryIdempotencyStore,
  type IdempotencyEntry,
  type IdempotencyStore,
} from './idempotency-store.ts';

describe('requests with one key at one instance', () => {
  it('are one run with one answer, however many wait for it', async (t) => {
    const work = createWork();
    const app = startInstance(t, { store: memory(), work });
    const first = send(app);
    await work.started;
    const others = Array.from({ length: 50 }, () => send(app));
    await work.arrived(51);
    work.finish();
    const answers = await Promise.all([first, ...others]);
    assert.deepEqual(new Set(answers.map(({ body }) => body)), new Set(['effect 1']));
    assert.equal(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true').length, 50);
  });

  it('are told 504 beyond a bound of those who wait: the first may have run', async (t) => {
    const work = createWork();
    const app = startInstance(t, { store: memory(), work, maxJoined: 2 });
    const first = send(app);
    await work.started;
    const others = Array.from({ length: 3 }, () => send(app));
    assert.equal((await Promise.race(others)).statusCode, 504);
    work.finish();
    const statuses = (await Promise.all([first, ...others])).map(({ statusCode }) => statusCode);
    assert.deepEqual(statuses.sort(), [200, 200, 200, 504]);
  });

  it('are told together what the first is told that did not run, and the next one runs', async (t) => {
    const work = createWork(new AppError('not-accepted', 'not now'));
    const app = startInstance(t, { store: memory(), work });
    const first = send(app);
    await work.started;
    const second = send(app);
    await work.arrived(2);
    work.finish();
    for (const answer of [await first, await second])
      assert.deepEqual([answer.statusCode, answer.headers['retry-after']], [503, '1']);
    assert.equal((await send(app)).body, 'effect 2');
  });
});

describe('requests with one key at two instances that share a store', () => {
  it('are one run with one answer', async (t) => {
    const { store } = shared();
    const work = createWork();
    const [one, two] = [startInstance(t, { store, work }), startInstance(t, { store, work })];
    const first = send(one);
    await work.started;
    const early = await send(two);
    assert.deepEqual([early.statusCode, early.json().code], [504, 'outcome-unknown']);
    work.finish();
    assert.equal((await first).body, 'effect 1');
    const late = await send(two);
    assert.deepEqual([late.body, late.headers['idempotency-replayed']], ['effect 1', 'true']);
    assert.equal((await send(two, '"other body"')).statusCode, 422);
  });

  it('are not held to the body of another request with their key, which the store is just being asked about', async (t) => {
    const { store } = shared();
    const work = createWork();
    work.finish();
    const app = startInstance(t, { store, work });
    await send(app);
    const [wrong, honest, wrongAgain] = await Promise.all([
      send(app, '"other body"'),
      send(app),
      send(app, '"third body"'),
    ]);
    assert.deepEqual([wrong.statusCode, wrongAgain.statusCode], [422, 422]);
    assert.deepEqual([honest.body, honest.headers['idempotency-replayed']], ['effect 1', 'true']);
  });

  it('run elsewhere when the first did not', async (t) => {
    const { store } = shared();
    const work = createWork(new AppError('not-accepted', 'not now'));
    work.finish();
    assert.equal((await send(startInstance(t, { store, work }))).statusCode, 503);
    assert.equal((await send(startInstance(t, { store, work }))).body, 'effect 2');
  });

  it('are refused 503 while the store does not answer, and nothing runs', async (t) => {
    const { store, fail } = shared();
    const work = createWork();
    work.finish();
    const app = startInstance(t, { store, work });
    fail('claim');
    const refused = await send(app);
    assert.deepEqual([refused.statusCode, refused.json().code], [503, 'not-accepted']);
    fail(undefined);
    assert.equal((await send(app)).body, 'effect 1');
  });

  it('get the first answer even if it cannot be kept, and then run no more within the window', async (t) => {
    const { store, fail } = shared();
    const work = createWork();
    work.finish();
    const app = startInstance(t, { store, work });
    fail('keep');
    assert.equal((await send(app)).body, 'effect 1');
    assert.equal((await send(app)).statusCode, 504);
  });
});

const memory = () => createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 100 });

/** A store as a database would be: it answers later, and holds claims. */
function shared() {
  const entries = new Map<string, IdempotencyEntry>();
  let failing: keyof IdempotencyStore | undefined;
  async function call<T>(method: keyof IdempotencyStore, run: () => T): Promise<T> {
    await new Promise(setImmediate);
    if (failing === method) throw new Error('the store is down');
    return run();
  }
  const store: IdempotencyStore = {
    claim: (key, entry) =>
      call('claim', () => {
        const kept = entries.get(key);
        if (!kept) entries.set(key, entry);
        return kept;
      }),
    keep: (key, entry) => call('keep', () => void entries.set(key, entry)),
    release: (key) => call('release', () => void entries.delete(key)),
  };
  return {
    store,
    /** From now on this method rejects. */
    fail(method: keyof IdempotencyStore | undefined) {
      failing = method;
    },
  };
}

/** A handler with a counted effect; the first run ends with `failure`, if there is one. */
function createWork(failure?: AppError) {
  const { promise: started, resolve: start } = Promise.withResolvers<void>();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const arrivals = new EventEmitter();
  let arrivedCount = 0;
  let effects = 0;
  return {
    started,
    finish,
    arrive() {
      arrivedCount += 1;
      arrivals.emit('arrival');
    },
    /** Resolves when `count` requests run or wait. */
    async arrived(count: number): Promise<void> {
      while (arrivedCount < count) await once(arrivals, 'arrival');
    },
    async run(): Promise<string> {
      effects += 1;
      const effect = effects;
      start();
      await finished;
      if (failure && effect === 1) throw failure;
      return `effect ${effect}`;
    },
  };
}

type InstanceOptions = { store: IdempotencyStore; work: ReturnType<typeof createWork>; maxJoined?: number };

function startInstance(t: TestContext, { store, work, maxJoined = 100 }: InstanceOptions): FastifyInstance {
  const app = createHttpServer({ log: pino({ level: 'silent' }) });
  const caller = { apiKeyId: undefined } as Caller;
  app.decorateRequest('caller', { getter: () => caller });
  app.addHook('preHandler', (_request, _reply, done) => {
    done();
    work.arrive();
  });
  app.post(
    '/',
    createIdempotencyHooks(createIdempotency({ store, maxJoined }), {
      deadlineMs: 60_000,
      held: createHeldReplies(),
    }),
    (_request, reply) => work.run().then((body) => reply.send(body)),
  );
  t.after(() => app.close());
  return app;
}

async function send(app: FastifyInstance, payload = '{}') {
  const headers = { 'content-type': 'application/json', 'idempotency-key': '"key"' };
  return await app.inject({ method: 'POST', url: '/', headers, payload });
}
