import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Destination, Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { type Further, publishEvents } from './publish-events.ts';

const furtherOf = (count: number, { isMandatory = true } = {}): Further[] =>
  Array.from({ length: count }, (_, index) => ({
    message: { to: { type: String(index) }, contentType: '', body: Buffer.alloc(0) },
    isMandatory,
  }));

/** A broker that answers in the next turn with what `outcomeOf` says, and what it was asked for. */
function createBroker(outcomeOf: (to: Destination) => PublishOutcome) {
  const written: Destination[] = [];
  let inFlight = 0;
  let most = 0;
  const publisher: Publisher = {
    ...createMemoryBroker().publisher,
    isDeclared: async (type) => type === 'declared',
    async publish({ to }) {
      written.push(to);
      inFlight += 1;
      most = Math.max(most, inFlight);
      await new Promise(setImmediate);
      inFlight -= 1;
      return outcomeOf(to);
    },
  };
  return { publisher, written, most: () => most };
}

const { signal } = new AbortController();

describe('publishing further events', () => {
  it('has several unconfirmed at once, but no more than 32, and publishes each once', async () => {
    const broker = createBroker(() => 'confirmed');
    await publishEvents(broker.publisher, furtherOf(100), signal);
    assert.equal(broker.most(), 32);
    assert.deepEqual(
      broker.written,
      furtherOf(100).map(({ message }) => message.to),
    );
  });

  it('publishes nothing for none', async () => {
    const broker = createBroker(() => 'confirmed');
    await publishEvents(broker.publisher, [], signal);
    assert.deepEqual(broker.written, []);
  });

  it('begins no more when one cannot be published', async () => {
    const broker = createBroker((to) => ('type' in to && to.type === '5' ? 'unroutable' : 'confirmed'));
    await assert.rejects(publishEvents(broker.publisher, furtherOf(10_000), signal), { code: 'unroutable' });
    assert.ok(broker.written.length < 10_000, `${broker.written.length} written`);
  });

  it('is done with an event that nobody takes, where nobody has to', async () => {
    const broker = createBroker(() => 'unroutable');
    await publishEvents(broker.publisher, furtherOf(3, { isMandatory: false }), signal);
    assert.deepEqual(
      broker.written,
      furtherOf(3).map(({ message }) => message.to),
    );
  });

  it('waits for the queue of who declares that it takes the event, whether somebody has to or not', async () => {
    const outcomes: PublishOutcome[] = ['unroutable', 'unroutable', 'confirmed'];
    const broker = createBroker(() => outcomes.shift() ?? 'unknown');
    const message = { to: { type: 'declared' }, contentType: '', body: Buffer.alloc(0) };
    const publisher = { ...broker.publisher, declare: async () => {} };
    await publishEvents(publisher, [{ message, isMandatory: false }], signal);
    assert.equal(broker.written.length, 3);
  });
});
