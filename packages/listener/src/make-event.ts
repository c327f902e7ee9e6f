/** Events a listener makes: replies, further events, and problems. */
import { randomUUID } from 'node:crypto';
import { DEFAULT_EVENT_BYTES } from '@waybill/common/batch-limits.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, PROBLEM_TYPE, stripInternal, toEvent } from '@waybill/common/event/event.ts';
import { assertAnswerable } from '@waybill/common/event/event-headers.ts';
import { type EncodedEvent, encodeEvent } from '@waybill/common/event/event-json.ts';
import { instanceId } from '@waybill/common/instance.ts';
import { type Problem, problemFor } from '@waybill/common/problem.ts';
import type { EventSpan } from '@waybill/common/telemetry/tracing.ts';
import { assertCarried, withBase64 } from './carried-data.ts';
import { type NewEvent, TerminalError } from './handler.ts';

/** Who makes an event, and from which; `hops` are those of a further event. */
export type Maker = {
  event: CloudEvent;
  service: string;
  span?: EventSpan;
  hops?: number;
  /** Who gets the reply to a further event, and until when. */
  answerTo?: Pick<CloudEvent, 'correlationid' | 'replyto' | 'expirytime'> | undefined;
  /** How large the event may be (default 256 KiB). */
  maxEventBytes?: number | undefined;
};

/**
 * Makes an event. A `reply` carries on the correlation id, reply address and deadline of the event it answers.
 *
 * Data that is bytes becomes `data_base64`. What only Waybill sets is not taken from a handler, which may have made its event
 * of the one that it was given: a further event with its reply address would be answered beside the reply.
 *
 * @throws TerminalError when it is not a valid event, has data that JSON cannot carry, or is larger than `maxEventBytes`; a reply
 *   also when it cannot be an answer in binary mode.
 */
export function makeEvent(newEvent: NewEvent, maker: Maker, kind: 'reply' | 'event'): EncodedEvent {
  const { event, service, span, hops, answerTo, maxEventBytes = DEFAULT_EVENT_BYTES } = maker;
  const carried = withBase64(newEvent);
  orInvalid(kind, () => assertCarried(carried.data));
  const made = stripInternal({
    ...carried,
    specversion: '1.0',
    id: newEvent.id ?? randomUUID(),
    source: `/waybill/${service}`,
    time: now(),
  });
  // Before the attributes of the event that it answers, which were checked when that came.
  orInvalid(kind, () => {
    if (kind === 'reply') assertAnswerable(made);
    toEvent(made);
  });
  made.traceparent = span?.traceparent ?? event.traceparent;
  made.tracestate = span?.traceparent ? span.tracestate : event.tracestate;
  if (hops !== undefined) made.hops = hops;
  if (answerTo) Object.assign(made, answerTo);
  if (kind === 'reply') {
    made.correlationid = event.correlationid;
    made.replyto = event.replyto;
    made.expirytime = event.expirytime;
    made.handledby = `${service}/${instanceId}`;
  }
  return encode(made, { kind, maxEventBytes });
}

let lastMs = Number.NaN;
let lastTime = '';

/** Of this millisecond: neighbours are often made in the same, and writing it takes longer than all else that is made up here. */
function now(): string {
  const nowMs = Date.now();
  if (nowMs !== lastMs) lastTime = new Date(nowMs).toISOString();
  lastMs = nowMs;
  return lastTime;
}

/** The reply that tells a client 502: `code` names the error, `reason` why the event was given up. */
export function makeProblem({
  event,
  service,
  reason,
  code,
  detail,
}: Maker & { reason: string; code: string; detail?: string }): EncodedEvent {
  const problem = problemFor('handler-failed', detail, { reason, error_code: code, event_id: event.id });
  return makeReplyOfProblem(problem, { event, service });
}

/** The reply that a problem is told by. */
export function makeReplyOfProblem(problem: Problem, maker: Maker): EncodedEvent {
  const reply = { type: PROBLEM_TYPE, datacontenttype: 'application/problem+json', data: problem };
  return makeEvent(reply, maker, 'reply');
}

function encode(
  made: CloudEvent,
  { kind, maxEventBytes }: { kind: string; maxEventBytes: number },
): EncodedEvent {
  const encoded = orInvalid(kind, () => encodeEvent(made));
  if (encoded.bytes > maxEventBytes)
    throw new TerminalError(
      `${kind}-too-large`,
      `the ${kind} has ${encoded.bytes} bytes, more than ${maxEventBytes} (setting MAX_EVENT_BYTES of the listener)`,
    );
  return encoded;
}

function orInvalid<T>(kind: string, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    // The client is shown this; V8's own messages name the members of the handler's objects.
    const why = cause instanceof AppError ? cause.message : 'it cannot be serialised';
    throw new TerminalError(`invalid-${kind}`, `the handler made an invalid ${kind}: ${why}`, { cause });
  }
}
