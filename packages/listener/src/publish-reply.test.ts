import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import { encodeEvent } from '@waybill/common/event-json.ts';
import { createPublishReply } from './publish-reply.ts';

/** A broker that is away. */
const publisher: Publisher = {
  publish: async () => 'not-accepted',
  isAvailable: () => false,
  declare: async () => {},
  close: async () => {},
};

describe('publishing a reply', () => {
  it('is given up when nobody waits for it any more, and never before', async () => {
    const publishReply = createPublishReply({ publisher });
    const isEarly = async () => {
      const endMs = Date.now() + 5;
      const event = {
        specversion: '1.0',
        id: randomUUID(),
        source: '/test',
        type: 'PingResponse',
        replyto: randomUUID(),
        expirytime: new Date(endMs).toISOString(),
      } as const;
      await assert.rejects(publishReply(encodeEvent(event)), { code: 'broker-unavailable' });
      return Date.now() < endMs;
    };
    const early = [];
    for (let round = 0; round < 40; round += 1) early.push(...(await Promise.all([isEarly(), isEarly()])));
    assert.equal(early.filter(Boolean).length, 0);
  });
});
