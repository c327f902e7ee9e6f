/** Requests that meet, at one instance or at several that share a store, at a route whose handler the test plays. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import type { Caller } from '../admission/admission.ts';
import { createHeldReplies, type HeldReplies } from '../replies/held-replies.ts';
import { createIdempotencyHooks, locateReply } from '../ways-in/http/idempotency-hooks.ts';
import { createIdempotency } from './create-idempotency.ts';
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

describe('an answer that is given again', () => {
  it('is held until its client has it, and refused while there is no room', async (t) => {
    const held = createHeldReplies({ maxHeldBytes: 100 });
    const work = createWork();
    work.finish();
    const app = startInstance(t, { store: memory(), work, held });
    let heldBytes = 0;
    app.addHook('onSend', async () => {
      heldBytes = held.bytes();
    });
    await send(app);
    assert.equal((await send(app)).body, 'effect 1');
    assert.equal(heldBytes, 'effect 1'.length);
    assert.equal(held.bytes(), 0);
    const others = held.answer();
    others.hold(100);
    const refused = await send(app);
    assert.deepEqual([refused.statusCode, refused.json().code], [503, 'not-accepted']);
    assert.equal(refused.headers['idempotency-replayed'], undefined);
    others.release();
    assert.equal((await send(app)).body, 'effect 1');
  });
});

describe('requests with one key at two instances that share a store', () => {
  it('are one run with one answer', async (t) => {
    const { store } = shared();
    const work = createWork();
    const [one, two] = [startInstance(t, { store, work }), startInstance(t, { store, work })];
    const first = send(one);
    await work.started;
    const others = [send(two), send(two), send(two)];
    assert.equal((await send(two, '"other body"')).statusCode, 422);
    await work.arrived(5);
    work.finish();
    assert.equal((await first).body, 'effect 1');
    for (const other of [...(await Promise.all(others)), await send(two)])
      assert.deepEqual([other.body, other.headers['idempotency-replayed']], ['effect 1', 'true']);
    assert.equal((await send(two, '"other body"')).statusCode, 422);
  });

  it('wait for the other instance as long as each of them wants to', async (t) => {
    const { store } = shared();
    const work = createWork();
    const [one, two] = [startInstance(t, { store, work }), startInstance(t, { store, work })];
    const first = send(one);
    await work.started;
    const impatient = send(two, '{}', 'wait=1');
    const patient = send(two);
    const told = await impatient;
    assert.deepEqual([told.statusCode, told.json().code], [504, 'outcome-unknown']);
    work.finish();
    assert.deepEqual([(await first).body, (await patient).body], ['effect 1', 'effect 1']);
  });

  it('wait for it also while the store does not answer', async (t) => {
    const { store, fail } = shared();
    const work = createWork();
    const [one, two] = [startInstance(t, { store, work }), startInstance(t, { store, work })];
    const first = send(one);
    await work.started;
    const failed = fail('read');
    const second = send(two);
    await failed;
    work.finish();
    await first;
    fail(undefined);
    assert.equal((await second).body, 'effect 1');
  });

  it('are told 503 when what they waited for did not run, and the next one runs', async (t) => {
    const { store, asked } = shared();
    const work = createWork(new AppError('not-accepted', 'not now'));
    const [one, two] = [startInstance(t, { store, work }), startInstance(t, { store, work })];
    const first = send(one);
    await work.started;
    const second = send(two);
    await asked('read');
    work.finish();
    for (const answer of [await first, await second])
      assert.deepEqual([answer.statusCode, answer.json().code], [503, 'not-accepted']);
    assert.equal((await send(two)).body, 'effect 2');
  });

  it('are never answered what another request has got that has claimed their key meanwhile', async (t) => {
    const { store, asked } = shared();
    const work = createWork();
    const first = send(startInstance(t, { store, work }));
    await work.started;
    const second = send(startInstance(t, { store, work }));
    await asked('read');
    const answer = { status: 200, headers: {}, body: 'to another' };
    await store.keep('[null,"key"]', { fingerprint: 'of another', answer });
    assert.equal((await second).statusCode, 422);
    work.finish();
    await first;
  });

  it('are told 504, and do not run, once an instance must have died with the first of them', async (t) => {
    const { store } = shared();
    const work = createWork();
    const dead = startInstance(t, { store, work, deadlineMs: -60_000 });
    const first = send(dead);
    await work.started;
    const told = await send(startInstance(t, { store, work }));
    assert.deepEqual([told.statusCode, told.json().code], [504, 'outcome-unknown']);
    assert.match(told.json().detail, /has not answered/);
    // Should it come back, its answer is the answer.
    work.finish();
    assert.equal((await first).body, 'effect 1');
    assert.equal((await send(startInstance(t, { store, work }))).body, 'effect 1');
  });

  it('are told 504, and where to look, when the one that must have died has said where its reply will be', async (t) => {
    const { store, asked } = shared();
    const work = createWork();
    const located = asked('amend');
    const dead = startInstance(t, { store, work, deadlineMs: -60_000, location: '/requests/x' });
    const first = send(dead);
    await located;
    const told = await send(startInstance(t, { store, work }));
    assert.deepEqual([told.statusCode, told.headers.location], [504, '/requests/x']);
    work.finish();
    assert.equal((await first).body, 'effect 1');
  });

  it('are told 504 at once by an instance that stops, when another one is at it', async (t) => {
    const { store, asked } = shared();
    const work = createWork();
    const stopping = new AbortController();
    const [one, two] = [
      startInstance(t, { store, work }),
      startInstance(t, { store, work, stopping: stopping.signal }),
    ];
    const first = send(one);
    await work.started;
    const second = send(two);
    await asked('read');
    stopping.abort();
    assert.equal((await second).statusCode, 504);
    work.finish();
    await first;
  });

  it('are refused 503 when the store takes too long, and what it claims later is given back', async (t) => {
    const { store, hold } = shared();
    const work = createWork();
    work.finish();
    const letGo = hold('claim');
    const refused = await send(startInstance(t, { store, work }), '{}', 'wait=1');
    assert.deepEqual([refused.statusCode, refused.json().code], [503, 'not-accepted']);
    letGo();
    await eventually(async () => assert.equal(await store.read('[null,"key"]'), undefined));
    assert.equal((await send(startInstance(t, { store, work }))).body, 'effect 1');
  });

  it('are answered though the store takes long to keep the answer, for which others then wait', async (t) => {
    const { store, hold, asked } = shared();
    const work = createWork();
    work.finish();
    const letGo = hold('keep');
    assert.equal((await send(startInstance(t, { store, work }))).body, 'effect 1');
    const second = send(startInstance(t, { store, work }));
    await asked('read');
    letGo();
    assert.equal((await second).body, 'effect 1');
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

  it('are refused 503 in time while the store takes long to tell about another request with their key', async (t) => {
    const { store, hold, asked } = shared();
    const work = createWork();
    const letGo = hold('claim');
    const claimed = asked('claim');
    const app = startInstance(t, { store, work, maxJoined: 1 });
    const first = send(app);
    await claimed;
    const others = [send(app, '"other body"', 'wait=1'), send(app, '"third body"', 'wait=1')];
    const told = await Promise.all(others);
    assert.deepEqual(told.map(({ statusCode }) => statusCode).sort(), [503, 504]);
    letGo();
    work.finish();
    await first;
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

  it('are refused 429 when the store has no room for another key, and nothing runs', async (t) => {
    const { store, fail } = shared();
    const work = createWork();
    work.finish();
    const app = startInstance(t, { store, work });
    fail('claim', new AppError('keys-full', 'too much is kept under keys'));
    const refused = await send(app);
    const { statusCode, headers } = refused;
    assert.deepEqual([statusCode, refused.json().code, headers['retry-after']], [429, 'keys-full', '10']);
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
    assert.equal((await send(app, '{}', 'wait=1')).statusCode, 504);
  });
});

const memory = () => createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 100 });

/** A store as a database would be: it answers later. */
function shared() {
  const entries = new Map<string, IdempotencyEntry>();
  const calls = new EventEmitter();
  let failing: keyof IdempotencyStore | undefined;
  let failure: Error;
  let held: { method: keyof IdempotencyStore; until: Promise<void> } | undefined;
  async function call<T>(method: keyof IdempotencyStore, run: () => T): Promise<T> {
    calls.emit(method);
    await new Promise(setImmediate);
    if (held?.method === method) await held.until;
    if (failing === method) throw failure;
    return run();
  }
  const store: IdempotencyStore = {
    claim: (key, entry) =>
      call('claim', () => {
        const kept = entries.get(key);
        if (!kept) entries.set(key, entry);
        return kept;
      }),
    read: (key) => call('read', () => entries.get(key)),
    amend: (key, entry) => call('amend', () => void (entries.get(key)?.answer || entries.set(key, entry))),
    keep: (key, entry) => call('keep', () => void entries.set(key, entry)),
    release: (key) => call('release', () => void entries.delete(key)),
  };
  const asked = async (method: keyof IdempotencyStore) => {
    await once(calls, method);
  };
  return {
    store,
    /** Resolves when this method is called next. */
    asked,
    /** From now on this method rejects; resolves when it is called next. */
    fail(
      method: keyof IdempotencyStore | undefined,
      error = new Error('the store is down'),
    ): Promise<void> | undefined {
      failing = method;
      failure = error;
      return method && asked(method);
    },
    /** From now on this method does nothing until the function that this returns is called. */
    hold(method: keyof IdempotencyStore): () => void {
      const { promise: until, resolve } = Promise.withResolvers<void>();
      held = { method, until };
      return resolve;
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

type InstanceOptions = {
  store: IdempotencyStore;
  work: ReturnType<typeof createWork>;
  maxJoined?: number;
  deadlineMs?: number;
  stopping?: AbortSignal;
  held?: HeldReplies;
  /** Where the reply will be. */
  location?: string;
};

function startInstance(
  t: TestContext,
  {
    work,
    maxJoined = 100,
    deadlineMs = 60_000,
    location,
    held = createHeldReplies(),
    ...options
  }: InstanceOptions,
): FastifyInstance {
  const app = createHttpServer({ log: pino({ level: 'silent' }) });
  const caller = { apiKeyId: undefined } as Caller;
  app.decorateRequest('caller', { getter: () => caller });
  app.addHook('preHandler', (_request, _reply, done) => {
    done();
    work.arrive();
  });
  app.post(
    '/',
    createIdempotencyHooks(createIdempotency({ maxJoined, deadlineMs, ...options }), {
      deadlineMs: 60_000,
      held,
      log: app.log,
    }),
    (request, reply) => {
      if (location !== undefined) locateReply(request, { id: 'reply', location });
      return work.run().then((body) => reply.send(body));
    },
  );
  t.after(() => app.close());
  return app;
}

async function send(app: FastifyInstance, payload = '{}', prefer = 'wait=60') {
  const headers = { 'content-type': 'application/json', 'idempotency-key': '"key"', prefer };
  return await app.inject({ method: 'POST', url: '/', headers, payload });
}
