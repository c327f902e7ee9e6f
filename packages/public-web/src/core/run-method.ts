/**
 * A method of the mesh is an event: `<namespace>.<Service>.<Method>`, with its input as bytes, and the reply's bytes as its output.
 */
import { randomUUID } from 'node:crypto';
import { DEFAULT_EVENT_BYTES } from '@waybill/common/batch-limits.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, EVENT_TYPE_PATTERN } from '@waybill/common/event/event.ts';
import { onAbort } from '@waybill/common/on-abort.ts';
import { fromProblem, type Problem } from '@waybill/common/problem.ts';
import type { Any } from '@waybill/mesh/messages.ts';
import type { MethodCall, RunMethod } from '@waybill/mesh/methods.ts';
import type { Logger } from 'pino';
import type { AnswerEvent } from './answer-event.ts';
import { PUBLIC_WEB_SOURCE } from './source.ts';

/** What an event of a method has besides its input and its context, about. */
const ENVELOPE_BYTES = 1_024;
/** Characters of the context, as JSON: an attribute has 2,048 at most. */
const MAX_CONTEXT_LENGTH = 2_048;
const DATA_CONTENT_TYPE = 'application/protobuf';

/** Creates {@link RunMethod}. `answerEvent` has to take the events of every namespace of the site. */
export function createRunMethod({
  answerEvent,
  namespaces,
  maxEventBytes = DEFAULT_EVENT_BYTES,
  log,
}: {
  answerEvent: AnswerEvent;
  /** Those of the site: who may call one may not call another that is within it. */
  namespaces: readonly string[];
  /** Of the event that a call becomes (default 256 KiB). */
  maxEventBytes?: number | undefined;
  log: Logger;
}): RunMethod {
  return async (call) => {
    const type = toMethodType(call, namespaces);
    const event = toMethodEvent(call, type, maxEventBytes);
    const answer = await answerEvent(event, {
      // Who may call which method has been settled where the call came in.
      caller: { assertMaySend() {} },
      client: { onGone: (giveUp) => onAbort(call.signal, giveUp), hold: () => true },
      deadlineMs: call.deadlineMs,
      bytes: bytesOf(event),
      log,
    });
    if (answer.problem) throw toCallError(answer.problem);
    return toOutput(answer.reply);
  };
}

/**
 * The type of the event of a call.
 *
 * @throws AppError `unroutable` when no event can have such a type, or it is that of a method of another namespace: service
 *   `secret.Greeter` of `acme` is none, where `acme.secret` is a namespace.
 */
function toMethodType({ namespace, service, method }: MethodCall, namespaces: readonly string[]): string {
  const type = `${namespace}.${service.service_name}.${method}`;
  const ofService = type.slice(0, type.lastIndexOf('.'));
  const isOfAnother = (other: string) => other.length > namespace.length && ofService.startsWith(`${other}.`);
  if (!EVENT_TYPE_PATTERN.test(type) || namespaces.some(isOfAnother))
    throw new AppError('unroutable', 'no event of this namespace has such a type');
  return type;
}

/**
 * The event of a call.
 *
 * @throws AppError `too-large` for what no event holds.
 */
function toMethodEvent(
  { input, executionContext }: MethodCall,
  type: string,
  maxEventBytes: number,
): CloudEvent {
  const event: CloudEvent = { specversion: '1.0', id: randomUUID(), source: PUBLIC_WEB_SOURCE, type };
  if (Object.keys(executionContext).length > 0) {
    event.executioncontext = JSON.stringify(executionContext);
    if (String(event.executioncontext).length > MAX_CONTEXT_LENGTH)
      throw new AppError('too-large', `the context has more than ${MAX_CONTEXT_LENGTH} characters`);
  }
  if (input) {
    event.datacontenttype = DATA_CONTENT_TYPE;
    event.data_base64 = Buffer.from(input.value).toString('base64');
    event.typeurl = input.type_url;
    if (bytesOf(event) > maxEventBytes)
      throw new AppError('too-large', `the input does not fit into an event of ${maxEventBytes} bytes`);
  }
  return event;
}

/** What a listener has against the data is told in the message: the status of a call has no other place for it. */
function toCallError(problem: Problem): AppError {
  const error = fromProblem(problem, 'handler-failed');
  if (!Array.isArray(problem.errors)) return error;
  const why = problem.errors.map((fault: { detail?: unknown } | null) => String(fault?.detail));
  return new AppError(error.code, `${error.message}: ${why.join('; ')}`);
}

/** A reply without bytes has no output; one of JSON is none that a caller of the mesh could read. */
function toOutput({ type, data, data_base64, typeurl }: CloudEvent): Any | null {
  if (data_base64 !== undefined)
    return { type_url: String(typeurl ?? ''), value: Buffer.from(data_base64, 'base64') };
  if (data === undefined) return null;
  throw new AppError('handler-failed', `the reply ${type} has JSON where a google.protobuf.Any is expected`);
}

function bytesOf({ data_base64 = '' }: CloudEvent): number {
  return data_base64.length + ENVELOPE_BYTES + MAX_CONTEXT_LENGTH;
}
