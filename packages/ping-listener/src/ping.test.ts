import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { handleEvent } from '@waybill/listener/testing';
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
  const { reply } = await handleEvent(ping, { data });
  assert.equal(reply?.type, 'PingResponse');
  return reply?.data as { sentAt: unknown; receivedAt: number };
}
