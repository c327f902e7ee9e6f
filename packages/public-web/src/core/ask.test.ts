import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { SendOutcome } from '../dispatchers/dispatcher-client.ts';
import { createInbox } from '../replies/inbox.ts';
import { createParkedRequests } from '../replies/parked-requests.ts';
import { createAsk } from './ask.ts';
import { createExpectedWait } from './expected-wait.ts';

/** Sends an event to dispatchers that say `outcome` of it; resolves once they have. */
async function start(outcome: SendOutcome, deadlineMs: number) {
  const said = Promise.withResolvers<void>();
  const inbox = createInbox();
  const parked = createParkedRequests({ inbox, maxParked: 10 });
  const ask = createAsk({
    parked,
    expectedWait: createExpectedWait(),
    dispatchers: {
      async send(_event, isCancelled, series) {
        assert.equal(isCancelled(), false);
        assert.equal(series, 'a series');
        setImmediate(said.resolve);
        return outcome;
      },
    },
    isPublicType: () => true,
    labelOf: (type) => type,
    currentReplyAddress: () => 'address',
  });
  const event: CloudEvent = { specversion: '1.0', id: 'e1', source: '/test', type: 'PingRequest' };
  const answer = ask(event, {
    deadlineMs,
    bytes: 1,
    series: 'a series',
    client: { onGone() {}, hold: () => true },
  });
  // Heard of where it is awaited.
  answer.catch(() => {});
  await said.promise;
  return { answer, inbox, parked, event };
}

const unknown = () => new AppError('outcome-unknown', 'the dispatcher did not answer');

it('an event that may be in the broker has its reply waited for', async () => {
  const { answer, inbox, event } = await start(unknown(), 60_000);
  const reply = { ...event, type: 'PingResponse' };
  assert.equal(inbox.deliver(reply), true);
  assert.equal(await answer, reply);
});

it('an event that may be in the broker is unknown at its deadline', async () => {
  const { answer, parked } = await start(unknown(), 20);
  await assert.rejects(answer, { code: 'outcome-unknown' });
  assert.equal(parked.size(), 0);
});

it('an event that provably is not in the broker is not waited for', async () => {
  for (const code of ['not-accepted', 'unroutable', 'too-large'] as const) {
    const { answer, parked } = await start(new AppError(code, 'why'), 60_000);
    await assert.rejects(answer, { code });
    assert.equal(parked.size(), 0);
  }
});

it('an event whose reply others may ask for says so, and they are told where that will be before it is sent', async () => {
  const told: unknown[] = [];
  const ask = createAsk({
    parked: createParkedRequests({ inbox: createInbox(), maxParked: 10 }),
    expectedWait: createExpectedWait(),
    dispatchers: {
      async send(event) {
        told.push(event.replyto);
        return new AppError('not-accepted', 'why');
      },
    },
    isPublicType: () => true,
    labelOf: (type) => type,
    currentReplyAddress: () => 'address',
    late: { moreMs: 1_000, add() {}, currentReplyAddress: () => 'kept address' },
  });
  const client = { onGone() {}, hold: () => true };
  const onParked = (place: { id: string; dueMs: number; eventId: string }) => told.push(place);
  const send = (isAsked: boolean) => {
    const event: CloudEvent = { specversion: '1.0', id: 'e1', source: '/test', type: 'PingRequest' };
    const options = { deadlineMs: 1_000, bytes: 1, client: isAsked ? { ...client, onParked } : client };
    return assert.rejects(ask(event, options)).then(() => event);
  };
  await send(false);
  const { correlationid: id, expirytime } = await send(true);
  const place = { id, dueMs: Date.parse(String(expirytime)), eventId: 'e1' };
  assert.deepEqual(told, ['address', place, 'kept address']);
});
