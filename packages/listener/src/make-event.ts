/** Events a listener makes: replies, further events, and problems. */
import { randomUUID } from 'node:crypto';
import { toProblem } from '@waybill/common/errors.ts';
import { type CloudEvent, PROBLEM_TYPE, toEvent } from '@waybill/common/event.ts';
import { type EncodedEvent, encodeEvent } from '@waybill/common/event-json.ts';
import { BODY_LIMIT_BYTES } from '@waybill/common/http-server.ts';
import { instanceId } from '@waybill/common/instance.ts';
import type { EventSpan } from '@waybill/common/tracing.ts';
import { type NewEvent, TerminalError } from './handler.ts';

/** Who makes an event, and from which. */
export type Maker = { event: CloudEvent; service: string; span?: EventSpan };

/**
 * Makes an event. A `reply` carries on the correlation id, reply address and deadline of the event it answers.
 *
 * @throws TerminalError when it is not a valid event, cannot be serialised, or is larger than 256 kB.
 */
export function makeEvent(newEvent: NewEvent, maker: Maker, kind: 'reply' | 'event'): EncodedEvent {
  const { event, service, span } = maker;
  const made: CloudEvent = {
    ...newEvent,
    specversion: '1.0',
    id: newEvent.id ?? randomUUID(),
    source: `/waybill/${service}`,
    time: new Date().toISOString(),
    traceparent: span?.traceparent ?? event.traceparent,
    tracestate: span?.traceparent ? span.tracestate : event.tracestate,
  };
  if (kind === 'reply') {
    made.correlationid = event.correlationid;
    made.replyto = event.replyto;
    made.expirytime = event.expirytime;
    made.handledby = `${service}/${instanceId}`;
  }
  return checked(made, kind);
}

/** The reply that tells a client 502: `code` names the error, `reason` why the event was given up. */
export function makeProblem({
  event,
  service,
  reason,
  code,
  detail,
}: Maker & { reason: string; code: string; detail?: string }): EncodedEvent {
  const problem = toProblem('handler-failed', detail, { reason, error_code: code, event_id: event.id });
  const data = { type: PROBLEM_TYPE, datacontenttype: 'application/problem+json', data: problem };
  return makeEvent(data, { event, service }, 'reply');
}

function checked(made: CloudEvent, kind: string): EncodedEvent {
  let encoded: EncodedEvent;
  try {
    encoded = encodeEvent(made);
    toEvent(made);
  } catch (cause) {
    throw new TerminalError(
      `invalid-${kind}`,
      `the handler made an invalid ${kind}: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (encoded.bytes > BODY_LIMIT_BYTES)
    throw new TerminalError(
      `${kind}-too-large`,
      `the ${kind} has ${encoded.bytes} bytes, more than ${BODY_LIMIT_BYTES}`,
    );
  return encoded;
}
