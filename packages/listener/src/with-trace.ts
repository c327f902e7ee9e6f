import { context } from '@opentelemetry/api';
import type { CloudEvent } from '@waybill/common/event.ts';
import { type EventSpan, startEventSpan } from '@waybill/common/tracing.ts';

/**
 * Runs `run` inside the `process` span of `event`, so that its log lines and requests belong to it. `run` is given
 * the span, to stamp on what it produces; an error it throws is the span's.
 */
export async function withTrace<T>(
  { event, label, queue }: { event: CloudEvent; label: string; queue: string },
  run: (span: EventSpan) => Promise<T>,
): Promise<T> {
  const span = startEventSpan({ name: 'process', kind: 'consumer', event, label, destination: queue });
  try {
    const result = await context.with(span.context, () => run(span));
    span.end();
    return result;
  } catch (error) {
    span.end({ code: (error as { code?: string }).code ?? '_OTHER', message: (error as Error).message });
    throw error;
  }
}
