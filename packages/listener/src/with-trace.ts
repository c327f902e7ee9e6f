import { context as active } from '@opentelemetry/api';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EventSpan, startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { Outcome, Step, StepContext } from './step.ts';

/**
 * Runs `next` inside the `process` span of the event, so that its log lines and requests belong to it, and what it produces
 * can carry it. The error of the outcome, or what is thrown, is the span's.
 */
export function withTrace(next: Step, { label }: { label: string }): Step {
  return (event, context) => {
    const { delivery, batchSize } = context.delivered;
    const { destination } = delivery;
    const span = startEventSpan({ name: 'process', kind: 'consumer', event, label, destination, batchSize });
    return span.traceparent === undefined ? next(event, context) : inside(span, event, context);
  };

  async function inside(span: EventSpan, event: CloudEvent, context: StepContext): Promise<Outcome> {
    try {
      const outcome = await active.with(span.context, () => next(event, { ...context, span }));
      span.end(outcome.error);
      return outcome;
    } catch (error) {
      span.end({ code: (error as { code?: string }).code ?? '_OTHER', message: (error as Error).message });
      throw error;
    }
  }
}
