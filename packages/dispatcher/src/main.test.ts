import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { isNotSent } from '@waybill/test-harness/not-sent.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { hang } from '@waybill/test-harness/stand-in.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { Agent, request } from 'undici';
import {
  type Answer,
  type Consumer,
  createReplyPublisher,
  type Instance,
  keys,
  newEvent,
  newReplies,
  publishReplies,
  startDispatcher,
  startInstance,
  startListener,
  takeAll,
} from './dispatcher.fixture.ts';

/** Who connects in the very moment in which the port is closed (docs/reliability.md): none, nearly always. */
const MAX_RESETS = 1;

describe('a dispatcher that ends', () => {
  let broker: TestBroker;
  let dispatcher: Service;
  let listener: Consumer;
  let publisher: Publisher;
  let instance: Instance;
  const agent = new Agent({ connections: 4 });

  before(async () => {
    broker = await freshBroker();
    listener = await startListener(broker.url, 'test', ['Known']);
    publisher = await createReplyPublisher(broker.url);
  });
  after(async () => {
    await Promise.all([agent.close(), publisher.close(), listener.close()]);
    await broker.close();
  });
  beforeEach(async () => {
    dispatcher = await startDispatcher(broker.url);
    instance = await startInstance();
  });
  afterEach(() => instance.close());

  /** Sends events over kept-alive connections until one is refused; notes what became of each. */
  async function sendUntilRefused(confirmed: string[], outcomes: string[]): Promise<void> {
    for (;;) {
      const events = Array.from({ length: 10 }, () => newEvent('Known'));
      const body = JSON.stringify(events);
      const signature = signRequest({ method: 'POST', path: '/events', body, keys: keys.call });
      const headers = { 'content-type': BATCH_CONTENT_TYPE, ...signature };
      const options = { method: 'POST', headers, body, dispatcher: agent } as const;
      try {
        const { statusCode, body: answer } = await request(`${dispatcher.baseUrl}/events`, options);
        outcomes.push(String(statusCode));
        const { unroutable, rejected, unknown } = (await answer.json()) as Partial<Answer>;
        if (statusCode !== 200) continue;
        assert.deepEqual([unroutable, rejected, unknown], [[], [], []]);
        confirmed.push(...events.map(({ id }) => id));
      } catch (error) {
        if (isNotSent(error)) return;
        outcomes.push((error as { code: string }).code);
      }
    }
  }

  it('by SIGTERM, under load, loses no confirmed event and no reply, resets at most one connection, and exits 0', async () => {
    const [confirmed, outcomes]: [string[], string[]] = [[], []];
    const senders = Array.from({ length: 4 }, () => sendUntilRefused(confirmed, outcomes));
    const replies = newReplies(instance.replyto, 400);
    const publishing = Promise.all(replies.map((reply) => publishReplies(publisher, [reply])));
    await instance.deliveredAll(20);
    await listener.until((messages) => messages.length > 50);
    assert.deepEqual(await dispatcher.stop(), { code: 0, signal: null });
    await Promise.all([...senders, publishing]);
    const failed = outcomes.filter((outcome) => outcome !== '200' && outcome !== '503');
    assert.ok(failed.length <= MAX_RESETS, failed.join());

    const next = await startDispatcher(broker.url);
    await broker.emptied();
    await next.stop();
    const arrived = new Set(listener.events().map(({ id }) => id));
    assert.deepEqual(
      confirmed.filter((id) => !arrived.has(id)),
      [],
    );
    // Each once: what was under way at the signal was acked.
    assert.deepEqual(instance.delivered().sort(), replies.map(({ id }) => id).sort());
  });

  it('by SIGKILL leaves the replies it has not delivered to another', async () => {
    instance.onBatch = hang;
    const replies = newReplies(instance.replyto, 3);
    for (const reply of replies) await publishReplies(publisher, [reply]);
    await instance.batch(0);
    dispatcher.kill('SIGKILL');
    await dispatcher.exited;
    const lost = instance.batches.length;
    instance.onBatch = takeAll;
    const next = await startDispatcher(broker.url);
    await broker.emptied();
    await next.stop();
    const delivered = instance.batches.slice(lost).flat();
    assert.deepEqual(new Set(delivered.map(({ id }) => id)), new Set(replies.map(({ id }) => id)));
  });
});
