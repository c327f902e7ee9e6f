/** What the tests of steps are called with. */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { pino } from 'pino';
import { makeDelivery } from './ports.fixture.ts';
import type { StepContext } from './step.ts';

/** An event, and the context of its first attempt; `loss` ends its delivery. */
export function makeStep(attributes: Partial<CloudEvent> = {}, headers: Record<string, unknown> = {}) {
  const event: CloudEvent = { specversion: '1.0', id: '1', source: '/test', type: 'T', ...attributes };
  const loss = new AbortController();
  const { signal } = loss;
  const delivery = makeDelivery([event], { headers, signal });
  const context: StepContext = {
    delivered: { event, delivery, crashes: 0, index: 0, batchSize: 1 },
    signal,
    stopping: new AbortController().signal,
    attempt: 1,
    log: pino({ level: 'silent' }),
  };
  return { event, context, loss };
}
