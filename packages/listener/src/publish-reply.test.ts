import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import { encodeEvent } from '@waybill/common/event/event-json.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { createPublishReply } from './publish-reply.ts';

const MIB = 1024 * 1024;

/** A broker that says `outcome` of everything. */
const publisherThat = (publish: Publisher['publish']): Publisher => ({
  ...createMemoryBroker().publisher,
  publish,
  declare: async () => {},
});

const replyWithin = (ms: number, replyto: string = randomUUID()) =>
  encodeEvent({
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type: 'PingResponse',
    replyto,
    expirytime: new Date(Date.now() + ms).toISOString(),
  });

describe('publishing a reply', () => {
  it('is given up when nobody waits for it any more, and never before', async () => {
    const publishReply = createPublishReply({ publisher: publisherThat(async () => 'not-accepted') });
    const isEarly = async () => {
      const reply = replyWithin(5);
      assert.equal(await publishReply(reply), 'expired');
      return Date.now() < Date.parse(String(reply.event.expirytime));
    };
    const early = [];
    for (let round = 0; round < 40; round += 1) early.push(...(await Promise.all([isEarly(), isEarly()])));
    assert.equal(early.filter(Boolean).length, 0);
  });

  it('leaves no timer behind once the broker has it', async (t) => {
    const timers = new Set<number>();
    const hook = createHook({
      init(id, type) {
        if (type === 'Timeout') timers.add(id);
      },
      destroy: (id) => void timers.delete(id),
    }).enable();
    t.after(() => hook.disable());
    const publishReply = createPublishReply({ publisher: publisherThat(async () => 'confirmed') });
    assert.equal(await publishReply(replyWithin(60_000)), 'confirmed');
    // What has ended is told within a turn of the event loop; of a signal that is forgotten, when it is collected some time.
    for (let turns = 0; turns < 10; turns += 1) await nextTurn();
    assert.equal(timers.size, 0);
  });

  it('takes whatever handlers made while the broker takes nothing', async () => {
    const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
    const publishReply = createPublishReply({ publisher: publisherThat(() => promise) });
    const replies = Array.from({ length: 200 }, () => ({ ...replyWithin(60_000, 'one'), bytes: MIB }));
    const outcomes = Promise.all(replies.map(publishReply));
    resolve('confirmed');
    assert.deepEqual(new Set(await outcomes), new Set(['confirmed']));
  });

  it('drops news of attempts, and no reply, beyond as many as a broker that takes nothing may make wait', async () => {
    const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
    let published = 0;
    const publishReply = createPublishReply({
      publisher: publisherThat(async ({ body }) => {
        published += [JSON.parse(String(body))].flat().length;
        return promise;
      }),
    });
    const reply = replyWithin(60_000, 'one');
    const news = { ...reply, event: { ...reply.event, type: PROGRESS_TYPE } };
    const outcomes = Promise.all([...Array(5_000).fill(news), reply].map(publishReply));
    resolve('confirmed');
    const dropped = (await outcomes).filter((outcome) => outcome === 'expired');
    assert.deepEqual([dropped.length, published, (await outcomes).at(-1)], [904, 4_097, 'confirmed']);
    assert.equal(await publishReply(news), 'confirmed');
  });

  it('waits for a queue of replies that is missing', async () => {
    const outcomes: PublishOutcome[] = ['unroutable', 'unroutable', 'unroutable', 'confirmed'];
    const publishReply = createPublishReply({
      publisher: publisherThat(async () => outcomes.shift() as PublishOutcome),
    });
    assert.equal(await publishReply(replyWithin(60_000)), 'confirmed');
    assert.deepEqual(outcomes, []);
  });
});
