import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { HandlerContext, HandlerResult } from '@waybill/listener';
import { ping } from './ping.ts';

describe('ping', () => {
  it('answers with the time that was sent and the time of now', async () => {
    const before = Date.now();
    const { sentAt, receivedAt } = await answerTo({ sentAt: 12 });
    assert.equal(sentAt, 12);
    assert.ok(receivedAt >= before && receivedAt <= Date.now());
  });

  for (const data of [undefined, null, 'text', 7, []])
    it(`answers data ${JSON.stringify(data)} without a time of sending`, async () => {
      const { sentAt, receivedAt } = await answerTo(data);
      assert.equal(sentAt, undefined);
      assert.ok(receivedAt > 0);
    });
});

async function answerTo(data: unknown): Promise<{ sentAt: unknown; receivedAt: number }> {
  const event: CloudEvent = { specversion: '1.0', id: '1', source: '/test', type: 'PingRequest', data };
  const result = (await ping(event, {} as HandlerContext)) as HandlerResult;
  assert.equal(result.reply?.type, 'PingResponse');
  return result.reply?.data as { sentAt: unknown; receivedAt: number };
}
