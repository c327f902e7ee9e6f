import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OutgoingMessage, Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { retries } from '@waybill/common/telemetry/metrics.ts';
import { TerminalError } from './handler.ts';
import { makePublisher } from './ports.fixture.ts';
import { createRetry, retryDelayMs } from './retry.ts';
import { makeStep } from './step.fixture.ts';
import type { StepContext } from './step.ts';

it('an event waits 200 ms, 1 s and 5 s before its next attempts, and 5 s before each further one', () => {
  assert.deepEqual([1, 2, 3, 4, 100].map(retryDelayMs), [200, 1_000, 5_000, 5_000, 5_000]);
});

describe('a retry', () => {
  const failed = { name: 'failed', failure: new Error('not yet') };
  const replies: CloudEvent[] = [];
  function retrying(publish: Publisher['publish'], outcome = failed) {
    const retry = createRetry({
      service: 'svc',
      async publishReply({ event }) {
        replies.push(event);
        return 'confirmed';
      },
      publisher: makePublisher(publish),
      maxAttempts: 5,
    });
    return async (event: CloudEvent, context: StepContext) => retry(outcome, event, context);
  }

  it('sets what failed aside for its delay, with its history', async () => {
    const { event, context } = makeStep();
    const published: OutgoingMessage[] = [];
    const step = retrying(async (message) => {
      published.push(message);
      return 'confirmed';
    });
    assert.equal((await step(event, { ...context, attempt: 2 })).name, 'retried');
    const [message] = published;
    assert.deepEqual(message?.to, { service: 'svc', delayMs: 1_000 });
    assert.deepEqual(message?.headers, { 'waybill-failed-attempts': 2, 'waybill-crashes': 0 });
  });

  it('tells the client that waits which attempt failed and why, where its public-web knows what that is', async () => {
    const addressThatSays = (claims: object) =>
      `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`;
    const failure = Object.assign(new Error('no money'), { code: `card-declined${'!'.repeat(200)}` });
    const step = retrying(async () => 'confirmed', { name: 'failed', failure });
    for (const replyto of [
      undefined,
      'requester:a.requests.b',
      'x.y.z',
      addressThatSays({ kind: 'callback' }),
    ]) {
      const { event, context } = makeStep({ replyto, correlationid: 'c' });
      await step(event, context);
    }
    assert.deepEqual(replies.splice(0), []);

    const replyto = addressThatSays({ kind: 'callback', progress: true });
    const { event, context } = makeStep({ replyto, correlationid: 'c' });
    await step(event, { ...context, attempt: 2 });
    const [told, ...others] = replies.splice(0);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [told?.type, told?.replyto, told?.correlationid, told?.data],
      ['waybill.Progress', replyto, 'c', { attempt: 2, maxAttempts: 5, code: failure.code.slice(0, 128) }],
    );
    assert.match(String(told?.handledby), /^svc\//);
  });

  it('tries again where nobody takes a further event that somebody has to take: a service may yet come', async () => {
    const { event, context } = makeStep();
    const failure = new AppError('unroutable', 'nobody takes it');
    const step = retrying(async () => 'confirmed', { name: 'failed', failure });
    assert.equal((await step(event, context)).name, 'retried');
  });

  it('counts a retry when the broker has it, and not before', async (t) => {
    const counted = t.mock.method(retries, 'add');
    const { event, context } = makeStep();
    const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
    const retried = retrying(() => promise)(event, context);
    await new Promise(setImmediate);
    assert.equal(counted.mock.callCount(), 0);
    resolve('confirmed');
    await retried;
    assert.equal(counted.mock.callCount(), 1);
  });

  it('leaves to others what no attempt would mend, and what has no attempt left', async () => {
    const publish = () => assert.fail('retried');
    const { event, context } = makeStep();
    for (const outcome of [
      { name: 'failed', failure: new TerminalError('declined', 'no money') },
      { name: 'failed', failure: new AppError('invalid-request', 'no') },
    ])
      assert.equal(await retrying(publish, outcome)(event, context), outcome);
    assert.equal(await retrying(publish)(event, { ...context, attempt: 5 }), failed);
    const urgent = makeStep({ expirytime: new Date(Date.now() + 150).toISOString() });
    assert.equal(await retrying(publish)(urgent.event, urgent.context), failed);
  });

  it('throws when no queue takes the retry, which is no failure of the handler', async () => {
    const { event, context } = makeStep();
    await assert.rejects(retrying(async () => 'unroutable')(event, context), { code: 'unroutable' });
  });
});
