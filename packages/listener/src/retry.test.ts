import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Delivery, Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { retries } from '@waybill/common/telemetry/metrics.ts';
import { retryDelayMs, retryLater } from './retry.ts';

it('an event waits 200 ms, 1 s and 5 s before its next attempts, and 5 s before each further one', () => {
  assert.deepEqual([1, 2, 3, 4, 100].map(retryDelayMs), [200, 1_000, 5_000, 5_000, 5_000]);
});

it('counts a retry when the broker has it, and not before', async (t) => {
  const counted = t.mock.method(retries, 'add');
  const { promise, resolve } = Promise.withResolvers<PublishOutcome>();
  const publisher = { publish: () => promise } as unknown as Publisher;
  const delivery = { headers: {}, signal: new AbortController().signal } as unknown as Delivery;
  const event: CloudEvent = { specversion: '1.0', id: '1', source: '/test', type: 'T' };
  const retried = retryLater({ publisher, service: 'svc', event, delivery, crashes: 0, failedAttempts: 1 });
  assert.equal(counted.mock.callCount(), 0);
  resolve('confirmed');
  await retried;
  assert.equal(counted.mock.callCount(), 1);
});
