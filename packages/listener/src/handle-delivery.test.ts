import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { attemptsIn, makeRequest } from './listener-bench.fixture.ts';
import { createMemoryBench, type ListenerHere, type MemoryBench } from './memory-bench.fixture.ts';

const SERVICE = 'deliveries';

describe('a listener handling a message', () => {
  let bench: MemoryBench;
  let listener: ListenerHere;
  before(async () => {
    bench = await createMemoryBench();
    listener = await bench.startReady(SERVICE);
  });
  after(() => bench.close());

  const good = makeRequest(SERVICE, 'Echo');
  const unparsable: Record<string, [contentType: string, body: string]> = {
    'not JSON': [EVENT_CONTENT_TYPE, `{"id": "${randomUUID()}"`],
    'no event': [EVENT_CONTENT_TYPE, JSON.stringify({ id: randomUUID() })],
    'no batch': [BATCH_CONTENT_TYPE, JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    'an event at fault among good ones': [BATCH_CONTENT_TYPE, JSON.stringify([good, { ...good, id: '' }])],
    'an empty batch': [BATCH_CONTENT_TYPE, '[]'],
    'an event of another content type': ['application/json', JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    'an event without a content type': ['', JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    nothing: [EVENT_CONTENT_TYPE, ''],
  };
  for (const [what, [contentType, body]] of Object.entries(unparsable))
    it(`dead-letters a message raw that holds ${what}, and goes on`, async () => {
      const earlier = bench.deadLetters().length;
      await bench.sendRaw({ to: { type: `${SERVICE}.Echo` }, contentType, body: Buffer.from(body) });
      const next = makeRequest(SERVICE, 'Echo');
      await bench.send(next);
      assert.equal((await bench.replyTo(next)).type, `${SERVICE}.Answer`);

      const dead = await bench.waitForDeadLetters(() => bench.deadLetters()[earlier]);
      assert.equal(dead.reason, 'unparsable');
      assert.equal(dead.body, body);
      assert.equal(dead.contentType, contentType);
      assert.equal(dead.queue, `waybill.${SERVICE}`);
    });

  it('has started nothing of them, and leaves no message behind', async () => {
    assert.equal(attemptsIn(listener.logs, good).length, 0);
    await bench.emptied();
  });

  it('never has more events under way than CONCURRENCY, however they are batched', async () => {
    const service = 'bounded';
    await bench.startReady(service, { concurrency: 4 });
    const events = Array.from({ length: 60 }, () => makeRequest(service, 'Work', { data: { ms: 10 } }));
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [3, 19],
      [19, 35],
      [35, 60],
    ])
      await bench.send(events.slice(from, to));
    const answers = await Promise.all(events.map((event) => bench.replyTo(event)));
    assert.equal(Math.max(...answers.map(({ data }) => (data as { underWay: number }).underWay)), 4);
  });
});
