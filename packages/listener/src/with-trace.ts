import { context } from '@opentelemetry/api';
import type { Delivery } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EventSpan, startEventSpan } from '@waybill/common/telemetry/tracing.ts';

/** How an event fared in this service: what it is counted as, and the error of its span, if any. */
export type Outcome = { name: string; error?: { code: string; message: string } };

/**
 * Runs `run` inside the `process` span of `event`, so that its log lines and requests belong to it. `run` is given
 * the span, to stamp on what it produces. The error it resolves with, or throws, is the span's.
 */
export async function withTrace(
  {
    event,
    label,
    delivery: { destination },
    batchSize,
  }: { event: CloudEvent; label: string; delivery: Delivery; batchSize: number },
  run: (span: EventSpan) => Promise<Outcome>,
): Promise<Outcome> {
  const span = startEventSpan({ name: 'process', kind: 'consumer', event, label, destination, batchSize });
  try {
    const outcome = await context.with(span.context, () => run(span));
    span.end(outcome.error);
    return outcome;
  } catch (error) {
    span.end({ code: (error as { code?: string }).code ?? '_OTHER', message: (error as Error).message });
    throw error;
  }
}
