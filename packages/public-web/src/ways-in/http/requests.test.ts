/** Answers that are fetched later, with a store and a broker that the test plays. */
import assert from 'node:assert/strict';
import { beforeEach, describe, it, type TestContext } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { pino } from 'pino';
import { anyCaller } from '../../admission/caller.fixture.ts';
import { createAcceptEvent } from '../../core/accept-event.ts';
import type { Answer } from '../../core/answer-event.ts';
import { createIdempotency } from '../../idempotency/create-idempotency.ts';
import { createMemoryIdempotencyStore } from '../../idempotency/idempotency-store.ts';
import type { Later } from '../../later/later.ts';
import { createRequestLocations } from '../../later/request-locations.ts';
import { createHeldReplies, type HeldReplies } from '../../replies/held-replies.ts';
import { createInbox } from '../../replies/inbox.ts';
import { createParkedRequests } from '../../replies/parked-requests.ts';
import { createIdempotencyHooks } from './idempotency-hooks.ts';
import { createPostEvent } from './post-event.ts';
import { createGetRequest } from './requests.ts';

const { location: keys } = deriveInternalKeys(['a-secret-that-only-this-test-knows']);
const locations = createRequestLocations({ keys });
const pong = { specversion: '1.0' as const, id: 'r', source: '/t', type: 'Pong', data: 'x'.repeat(100) };
const away = () => Promise.reject(new AppError('not-accepted', 'no store answers now'));
const unknown = () => Promise.reject(new AppError('outcome-unknown', 'no answer from the dispatcher'));

/** What the broker says to an event, and the store to whoever fetches its answer. */
let confirm: () => Promise<void>;
let found: () => Promise<Answer | undefined>;
let sent: string[];
beforeEach(() => {
  [confirm, found, sent] = [async () => {}, async () => ({ id: 'e', reply: pong }), []];
});

function start(t: TestContext, held: HeldReplies = createHeldReplies()) {
  const lines: string[] = [];
  const app = createHttpServer({ log: pino({ level: 'info' }, { write: (line) => void lines.push(line) }) });
  t.after(() => app.close());
  app.decorateRequest('caller', { getter: () => ({ ...anyCaller, apiKeyId: 'client' }) });
  const acceptEvent = createAcceptEvent({
    parked: createParkedRequests({ inbox: createInbox(), maxParked: 10 }),
    async sendConfirmed(request, makeEvent) {
      sent.push((await makeEvent()).id);
      request.reply.catch(() => {});
      request.fail(new AppError('client-gone', 'it waits no longer'));
      await confirm();
    },
    currentReplyAddress: () => 'mailbox',
    isPublicType: () => true,
    labelOf: (type) => type,
    account() {},
    deadlineMs: 1_000,
    acceptedDeadlineMs: 60_000,
  });
  const later: Later = { locations, acceptEvent, answers: { fetch: () => found(), async cancel() {} } };
  const store = createMemoryIdempotencyStore({ windowMs: 60_000, maxKeys: 10 });
  const options = { answerEvent: async () => assert.fail(), held, later, deadlineMs: 1_000 };
  const hooks = createIdempotencyHooks(createIdempotency({ store, deadlineMs: 1_000, maxJoined: 10 }), {
    ...options,
    log: app.log,
  });
  app.post('/events', hooks, createPostEvent(options));
  app.get('/requests/:place', createGetRequest(options));

  /** Sends one event, always under the same idempotency key. */
  async function post(prefer: string) {
    const headers = { 'content-type': 'application/json', 'idempotency-key': '"key"', prefer };
    const payload = '{"id":"e","type":"PingRequest"}';
    const answer = await app.inject({ method: 'POST', url: '/events', headers, payload });
    return { status: answer.statusCode, told: answer.json(), headers: answer.headers };
  }
  return { app, post, messages: () => lines.map((line) => JSON.parse(line).msg) };
}

const url = locations.locationOf({
  ...{ id: 'c', dueMs: Date.now() + 60_000, mode: 'plain', eventId: 'e', apiKeyId: 'client' },
});

describe('an event that is accepted', () => {
  it('stays accepted where its answer cannot be waited for, so no retry sends it again', async (t) => {
    found = away;
    const { post } = start(t);
    for (let times = 0; times < 2; times += 1) {
      const { status, told, headers } = await post('respond-async, wait=1');
      assert.deepEqual([status, headers.location], [202, told.location]);
      assert.equal(locations.read(told.location.slice('/requests/'.length), 'client').eventId, 'e');
    }
    assert.deepEqual(sent, ['e']);
  });

  it('or may be, is answered 504 with the location of its answer, which a retry gets once, when it is there', async (t) => {
    confirm = unknown;
    const { post, messages } = start(t);
    const { status, told, headers } = await post('respond-async');
    assert.deepEqual([status, told.code, headers.location], [504, 'outcome-unknown', told.location]);
    const { eventId, mode, dueMs } = locations.read(told.location.slice('/requests/'.length), 'client');
    assert.deepEqual([eventId, mode], ['e', 'plain']);
    assert.ok(dueMs > Date.now() + 30_000);
    const again = await post('respond-async');
    assert.deepEqual([again.status, again.told.type], [200, 'Pong']);
    assert.deepEqual(sent, ['e']);
    assert.deepEqual(messages(), ['answered as an earlier request with this idempotency key']);
  });
});

describe('an answer that is fetched', () => {
  it('is held until its client has it', async (t) => {
    const held = createHeldReplies();
    const { app } = start(t, held);
    let heldBytes = 0;
    app.addHook('onSend', async () => {
      heldBytes = held.bytes();
    });
    const { statusCode, body } = await app.inject({ url });
    assert.deepEqual([statusCode, heldBytes], [200, body.length]);
    assert.equal(held.bytes(), 0);
  });

  it('is refused while there is no room, also if that is so when it comes', async (t) => {
    const held = createHeldReplies({ maxHeldBytes: 100 });
    const { app, post } = start(t, held);
    const fill = held.answer();
    found = async () => {
      fill.hold(100);
      return { id: 'e', reply: pong };
    };
    for (let times = 0; times < 2; times += 1) {
      const { statusCode, headers } = await app.inject({ url });
      assert.deepEqual([statusCode, headers['retry-after']], [503, '1']);
    }
    assert.equal((await post('respond-async, wait=1')).status, 202);
    fill.release();
    found = async () => ({ id: 'e', reply: pong });
    assert.equal((await app.inject({ url })).statusCode, 200);
  });
});
