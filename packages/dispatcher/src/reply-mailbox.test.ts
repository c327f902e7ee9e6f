import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createReplyAddresses } from '@waybill/common/internal-call/reply-address.ts';
import type { AppendResult, Push } from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { hang, refuse, reset, type StandIn, startStandIn } from '@waybill/test-harness/stand-in.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import {
  createReplyPublisher,
  type Instance,
  keys,
  newReplies,
  publishReplies,
  startDispatcher,
  startInstance,
} from './dispatcher.fixture.ts';

describe('replies to a mailbox', () => {
  let broker: TestBroker;
  let store: StandIn;
  let dispatcher: Service;
  let publisher: Publisher;
  const replyto = createReplyAddresses({
    address: { kind: 'mailbox' },
    keys: keys.replyAddress,
    maxDeadlineMs: 60_000,
  }).current();

  before(async () => {
    broker = await freshBroker();
    store = await startStandIn({ keys: keys.call, onBatch: () => {} });
    dispatcher = await startDispatcher(broker.url, { STORE_URLS: store.url });
    publisher = await createReplyPublisher(broker.url);
  });
  after(async () => {
    await publisher.close();
    await dispatcher.stop();
    await store.close();
    await broker.close();
  });
  beforeEach(() => {
    store.batches.length = 0;
  });

  const answer = (response: ServerResponse, results: AppendResult[]) =>
    response.end(JSON.stringify({ results }));
  const keepAll = (replies: CloudEvent[], response: ServerResponse) =>
    answer(
      response,
      replies.map(() => ({ outcome: 'appended' })),
    );
  /** Says of the first reply what `push` has, and where the holder is. */
  const pushTo = ({ url }: Instance, position: Omit<Push, 'instance' | 'mailbox' | 'epoch'>) => {
    const holder = { instance: 'holding', url: `${url}/push` };
    const push = { holder, mailbox: 'm', epoch: 'e', ...position };
    store.onBatch = (_replies, response) => answer(response, [{ outcome: 'appended', push }]);
  };

  it('are acked once the store has them, and what it does not take comes again', async () => {
    const replies = newReplies(replyto, 5);
    const failures = [refuse('not-accepted'), reset, hang];
    const kept: unknown[] = [];
    store.onBatch = (batch, response) => {
      const fail = failures.shift();
      if (fail) return fail(batch, response);
      kept.push(...batch.map(({ id }) => id));
      return keepAll(batch, response);
    };
    await publishReplies(publisher, replies);
    await eventually(() => assert.equal(kept.length, replies.length));
    await broker.emptied();
    assert.deepEqual(kept.toSorted(), replies.map(({ id }) => id).toSorted());
  });

  it('are pushed to the holder of the mailbox, without their reply address', async () => {
    const holder = await startInstance();
    pushTo(holder, { head: 7, offset: 7 });
    const [reply] = newReplies(replyto, 1, { traceparent: undefined });
    await publishReplies(publisher, [reply as CloudEvent]);
    const [push] = (await holder.batch(0)) as unknown as Push[];
    const { event, ...position } = push as Push;
    assert.deepEqual(position, { instance: 'holding', mailbox: 'm', epoch: 'e', head: 7, offset: 7 });
    assert.equal(event?.id, reply?.id);
    assert.equal(event?.replyto, undefined);
    await holder.close();
  });

  it('that have no offset are told of without what they are', async () => {
    const holder = await startInstance();
    pushTo(holder, { head: 7 });
    await publishReplies(publisher, newReplies(replyto));
    const [push] = (await holder.batch(0)) as unknown as Push[];
    assert.deepEqual(push, { instance: 'holding', mailbox: 'm', epoch: 'e', head: 7 });
    await holder.close();
  });

  it('are acked also where their holder cannot be told', async () => {
    const gone = await startInstance();
    await gone.close();
    pushTo(gone, { head: 1, offset: 1 });
    await publishReplies(publisher, newReplies(replyto));
    await store.batch(0);
    await broker.emptied();
  });

  it('that came by callback, and too late, go to the store as well', async () => {
    const instance = await startInstance();
    const replies = newReplies(instance.replyto, 3);
    const [late, inTime, unknown] = replies.map(({ correlationid }) => correlationid);
    instance.onBatch = (_events, response) =>
      response.end(JSON.stringify({ unknown: [unknown], late: [late] }));
    store.onBatch = keepAll;
    await publishReplies(publisher, replies);
    await eventually(() => assert.equal(store.batches.length, 1));
    await broker.emptied();
    const kept = store.batches.flat().map(({ correlationid }) => correlationid);
    assert.deepEqual(kept, [late]);
    assert.notEqual(late, inTime);
    await instance.close();
  });
});
