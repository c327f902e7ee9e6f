/** Properties of the way of an event that always fails: attempts, the waits between them, and its end. */
import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { OutgoingMessage } from '@waybill/common/broker/ports.ts';
import { RETRY_DELAYS_MS } from '@waybill/common/broker/topology.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import fc from 'fast-check';
import { pino } from 'pino';
import { createHandleEvent } from './handle-event.ts';
import { crashesOf, failedAttemptsOf } from './headers.ts';
import { makeDelivery, makePublisher } from './ports.fixture.ts';
import { retryDelayMs } from './retry.ts';

test('no wait is shorter than the one before it, and each is one that has a queue', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), (failedAttempts) => {
      const delayMs = retryDelayMs(failedAttempts);
      assert(RETRY_DELAYS_MS.includes(delayMs));
      assert(retryDelayMs(failedAttempts + 1) >= delayMs);
    }),
  );
});

test('any headers tell a whole number of attempts and crashes, from nought up', () => {
  const value = fc.oneof(fc.anything(), fc.integer(), fc.double());
  const headers = fc.record(
    { 'waybill-failed-attempts': value, 'waybill-crashes': value },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(headers, fc.nat(100), (headers, deliveryCount) => {
      const delivery = makeDelivery([], { headers, deliveryCount });
      for (const count of [failedAttemptsOf(delivery), crashesOf(delivery, 0)])
        assert(count >= 0 && (Number.isInteger(count) || count === Number.POSITIVE_INFINITY), `${count}`);
    }),
  );
});

type Life = {
  maxAttempts: number;
  /** From when it is first delivered; none: no deadline. */
  deadlineMs: number | null;
  /** How long each attempt takes. */
  attemptsMs: number[];
  /** How much longer than its delay each retry waits, in milliseconds. */
  latenesses: number[];
};

const life: fc.Arbitrary<Life> = fc.record({
  maxAttempts: fc.integer({ min: 1, max: 8 }),
  deadlineMs: fc.option(fc.integer({ min: 1, max: 40_000 })),
  attemptsMs: fc.array(fc.nat(7_000), { minLength: 8, maxLength: 8 }),
  latenesses: fc.array(fc.nat(3_000), { minLength: 8, maxLength: 8 }),
});

test('an event that always fails is tried no more often than allowed, never after its deadline, and ends once', async () => {
  mock.timers.enable({ apis: ['Date'] });
  await fc.assert(
    fc.asyncProperty(life, async (options) => {
      const { startedMs, endedMs, expiryMs, retriedAfterMs, ends } = await live(options);
      assert(startedMs.length >= 1 && startedMs.length <= options.maxAttempts);
      assert(startedMs.every((ms) => ms < expiryMs));
      assert.deepEqual(
        retriedAfterMs,
        retriedAfterMs.map((_, index) => RETRY_DELAYS_MS[Math.min(index, RETRY_DELAYS_MS.length - 1)]),
        'the ladder from its first rung, none left out',
      );
      // Nobody waits for a retry that would come too late; one that the broker delays may still do so.
      retriedAfterMs.forEach((delayMs, index) => {
        assert((endedMs[index] as number) + delayMs < expiryMs);
      });
      const isLate = ends.length === 0;
      assert.equal(isLate, Date.now() >= expiryMs && startedMs.length === retriedAfterMs.length);
      assert(isLate || ends.length === 1);
    }),
    { numRuns: 500 },
  );
  mock.timers.reset();
});

/** Takes one event through all its attempts, on a clock that the test moves. */
async function live({ maxAttempts, deadlineMs, attemptsMs, latenesses }: Life) {
  const startedMs: number[] = [];
  const endedMs: number[] = [];
  const retriedAfterMs: number[] = [];
  const ends: number[] = [];
  const expiryMs = deadlineMs === null ? Number.POSITIVE_INFINITY : Date.now() + deadlineMs;
  const event: CloudEvent = { specversion: '1.0', id: 'e-1', source: '/test', type: 'T' };
  if (deadlineMs !== null) event.expirytime = new Date(expiryMs).toISOString();
  let retry: OutgoingMessage | undefined;
  const handleEvent = createHandleEvent({
    service: 'svc',
    handlers: {
      T: {
        maxAttempts,
        handle({ id }, { attempt }) {
          assert.deepEqual([id, attempt], ['e-1', startedMs.length + 1]);
          startedMs.push(Date.now());
          mock.timers.tick(attemptsMs[attempt - 1] as number);
          endedMs.push(Date.now());
          throw new Error('always');
        },
      },
    },
    publisher: makePublisher(async (message) => {
      retry = message;
      return 'confirmed';
    }),
    publishReply: () => assert.fail('nothing is answered'),
    publishObserved: async () => true,
    requests: { of: () => async () => assert.fail('nothing is asked') },
    giveUp: async () => void ends.push(Date.now()),
    stopping: new AbortController().signal,
    log: pino({ level: 'silent' }),
  });
  let headers: Record<string, unknown> = {};
  for (;;) {
    retry = undefined;
    const delivery = makeDelivery([event], { headers });
    await handleEvent({ event, delivery, crashes: 0, index: 0, batchSize: 1 });
    if (!retry) return { startedMs, endedMs, retriedAfterMs, ends, expiryMs };
    const { to, headers: next = {} } = retry as OutgoingMessage;
    retriedAfterMs.push(Number((to as { delayMs?: number }).delayMs));
    mock.timers.tick((retriedAfterMs.at(-1) as number) + (latenesses[retriedAfterMs.length - 1] as number));
    headers = next;
  }
}
