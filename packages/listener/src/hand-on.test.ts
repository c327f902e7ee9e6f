import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutgoingMessage, PublishOutcome } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createHandOn } from './hand-on.ts';
import { NoHandlerError } from './no-handler.ts';
import { makePublisher } from './ports.fixture.ts';
import { makeStep } from './step.fixture.ts';
import type { StepContext } from './step.ts';

describe('handing on', () => {
  const unhandled = { name: 'failed', failure: new NoHandlerError('T') };
  const LAST = 5;

  function step({
    publishes,
    unbinds = async () => {},
  }: {
    publishes: PublishOutcome[];
    unbinds?: () => Promise<void>;
  }) {
    const published: unknown[] = [];
    const publish = async ({ to, headers }: OutgoingMessage) => {
      published.push({ to, headers });
      return publishes.shift() ?? 'unroutable';
    };
    const publisher = makePublisher(publish, { unbind: unbinds });
    const remedy = createHandOn({ service: 'svc', publisher, maxAttempts: LAST });
    const handOn = async (event: CloudEvent, context: StepContext) => remedy(unhandled, event, context);
    return { published, handOn };
  }

  function lastAttempt(headers = {}) {
    const { event, context, loss } = makeStep({}, headers);
    return { event, context: { ...context, attempt: LAST }, loss };
  }

  it('gives an event that no handler takes to the service that takes its type now, marked', async () => {
    const { event, context } = lastAttempt();
    const { handOn, published } = step({ publishes: ['confirmed'] });
    assert.deepEqual(await handOn(event, context), { name: 'handed-on' });
    assert.deepEqual(published, [{ to: { type: 'T' }, headers: { 'waybill-handed-on-by': 'svc' } }]);
  });

  it('goes on until it is certain that somebody has it', async () => {
    const { event, context } = lastAttempt();
    const unbinds = () => Promise.reject(new Error('away'));
    const { handOn } = step({ publishes: ['not-accepted', 'unknown', 'unroutable', 'confirmed'], unbinds });
    assert.deepEqual(await handOn(event, context), { name: 'handed-on' });
  });

  it('leaves it to others where nobody takes the type, and what went round once', async () => {
    const first = lastAttempt();
    assert.equal(await step({ publishes: [] }).handOn(first.event, first.context), unhandled);
    const again = lastAttempt({ 'waybill-handed-on-by': 'other' });
    const { handOn, published } = step({ publishes: ['confirmed'] });
    assert.equal(await handOn(again.event, again.context), unhandled);
    assert.deepEqual(published, []);
  });

  it('keeps the binding when the deadline left no time for all attempts', async () => {
    let isUnbound = false;
    const unbinds = async () => {
      isUnbound = true;
    };
    const { event, context } = makeStep();
    assert.equal(await step({ publishes: ['confirmed'], unbinds }).handOn(event, context), unhandled);
    assert.equal(isUnbound, false);
  });

  it('ends with the delivery', async () => {
    const { event, context, loss } = lastAttempt();
    loss.abort();
    await assert.rejects(step({ publishes: ['unknown'] }).handOn(event, context), {
      code: 'broker-unavailable',
    });
  });
});
