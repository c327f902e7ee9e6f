import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import {
  type CloudEvent,
  INTERNAL_ATTRIBUTES,
  NO_CONTENT_TYPE,
  PROBLEM_TYPE,
} from '@waybill/common/event/event.ts';
import { answerBatch, createAnswerEvent, isNoContent, type Requester, toReplyEvent } from './answer-event.ts';
import type { Ask } from './ask.ts';

const event: CloudEvent = { specversion: '1.0', id: 'e1', source: '/client', type: 'PingRequest' };

/** Answers events by `ask` for a caller that may send all types but `Secret`, and notes what is accounted for. */
function start(ask: Ask) {
  const accounted: [id: string, status: number, code: string | undefined][] = [];
  const answerEvent = createAnswerEvent({
    ask,
    account: ({ event: { id }, status, code }) => void accounted.push([id, status, code]),
    labelOf: (type) => type,
  });
  const requester: Requester = {
    caller: {
      assertMaySend(type) {
        if (type === 'Secret') throw new AppError('forbidden', 'not this one');
      },
    },
    client: { onGone() {}, hold: () => true },
    log: { info() {}, debug() {}, error() {} },
    deadlineMs: 1_000,
    bytes: 1,
  };
  return { accounted, answer: (given: CloudEvent) => answerEvent(given, requester), answerEvent, requester };
}

it('an event is answered with its reply, without what is internal, and counted once', async () => {
  const internal = Object.fromEntries(INTERNAL_ATTRIBUTES.map((name) => [name, 'x']));
  const { answer, accounted } = start(async () => ({ ...event, ...internal, id: 'r1', data: 7 }));
  assert.deepEqual(await answer(event), { id: 'e1', reply: { ...event, id: 'r1', data: 7 } });
  assert.deepEqual(accounted, [['e1', 200, undefined]]);
});

it('an event that its caller may not send is asked of nobody', async () => {
  const { answer, accounted } = start(() => assert.fail('asked'));
  const { problem } = await answer({ ...event, type: 'Secret' });
  assert.deepEqual([problem?.code, problem?.status, problem?.event_id], ['forbidden', 403, 'e1']);
  assert.deepEqual(accounted, [['e1', 403, 'forbidden']]);
});

it("a listener's problem is a problem of the client's own event", async () => {
  const data = { type: 'urn:waybill:problem:forged', status: 503, detail: 'why', code: 'not-accepted' };
  const { answer } = start(async () => ({ ...event, type: PROBLEM_TYPE, data }));
  const { problem } = await answer(event);
  assert.deepEqual(
    [problem?.type, problem?.status, problem?.code, problem?.detail, problem?.event_id],
    ['urn:waybill:problem:handler-failed', 502, 'handler-failed', 'why', 'e1'],
  );
});

it('a client is told what a listener says of invalid data, and nothing else under that code', async () => {
  const errors = [{ pointer: '#/sku', detail: 'is missing' }];
  const type = 'urn:waybill:problem:invalid-data';
  const data = { type, status: 200, title: 'Theirs', detail: 'why', code: 'theirs', errors, more: 1 };
  const { answer, accounted } = start(async () => ({ ...event, type: PROBLEM_TYPE, data }));
  const { problem } = await answer(event);
  const title = 'The data is not as the schema of its type says';
  const told = { type, title, status: 422, detail: 'why', code: 'invalid-data', errors, event_id: 'e1' };
  assert.deepEqual(problem, told);
  assert.deepEqual(accounted, [['e1', 422, 'invalid-data']]);
});

it('a client is told the problem that a handler refused its event with, and nothing else', async () => {
  const data = { type: 'about:blank', title: 'Conflict', status: 409, code: 'already-shipped', order: 7 };
  const { answer, accounted } = start(async () => ({ ...event, type: PROBLEM_TYPE, data }));
  assert.deepEqual((await answer(event)).problem, { ...data, event_id: 'e1' });
  assert.deepEqual(accounted, [['e1', 409, 'already-shipped']]);
});

it('a problem of a handler has no code and no status that are ours to say', async () => {
  for (const [status, code] of [
    [409, 'not-accepted'],
    [503, 'busy'],
    [502, 'broken'],
    [200, 'fine'],
  ]) {
    const { answer } = start(async () => ({
      ...event,
      type: PROBLEM_TYPE,
      data: { type: 'about:blank', status, code },
    }));
    assert.equal((await answer(event)).problem?.code, 'handler-failed');
  }
});

it('an event whose handler has nothing to say is done', async () => {
  const { answer, accounted } = start(async () => ({ ...event, type: NO_CONTENT_TYPE }));
  assert.equal(isNoContent(await answer(event)), true);
  assert.deepEqual(accounted, [['e1', 204, undefined]]);
});

it('the events of a batch are answered in order, each by itself', async () => {
  const { answerEvent, requester, accounted } = start(async (asked) => {
    if (asked.id === 'e2') throw new AppError('unroutable', 'nobody takes it');
    return { ...asked, id: `reply to ${asked.id}` };
  });
  const inputs = [event, new AppError('invalid-request', 'no event'), { ...event, id: 'e2' }];
  const answers = await answerBatch(answerEvent, inputs, requester);
  const replies = answers.map(toReplyEvent);
  assert.deepEqual(
    replies.map(({ type, data }) => (type === PROBLEM_TYPE ? (data as { code: string }).code : type)),
    ['PingRequest', 'invalid-request', 'unroutable'],
  );
  assert.deepEqual(
    accounted.map(([id]) => id),
    ['e1', 'e2'],
  );
});
