/** What a client of `nimbus.NimbusService` sends and is told, and the events that it stands for. */
import { randomBytes } from 'node:crypto';
import { type CloudEvent, PROBLEM_TYPE } from '@waybill/common/event/event.ts';
import type { EventRequest__Output as EventRequest } from '@waybill/common/grpc/generated/nimbus/EventRequest.ts';
import type { EventResponse } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import { type Problem, problemFor } from '@waybill/common/problem.ts';
import { type Entry, GAP_TYPE } from '../../clients/sessions.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';

/** What the types of these events begin with; the name follows in lower case. */
export const NIMBUS = 'nimbus.';
const MAX_NAME_LENGTH = 64;
const NAME = /^[a-z0-9._-]+$/;
/** `<name>/<number>/<96 random bits>`. */
const ID = /^(.*)\/(-?\d{1,10})\/[\w-]{16}$/s;

/**
 * The event that a request asks for. A name that no type can have asks for `nimbus.`, which nobody answers.
 *
 * Its id says what was asked, so that a problem too can name it, whichever instance has to tell the client.
 */
export function toNimbusEvent({ event_name, number }: EventRequest): CloudEvent {
  const name = event_name.toLowerCase();
  const isName = NAME.test(name) && name.length <= MAX_NAME_LENGTH;
  const shown = event_name.slice(0, MAX_NAME_LENGTH).toWellFormed();
  const id = `${shown}/${number}/${randomBytes(12).toString('base64url')}`;
  const type = `${NIMBUS}${isName ? name : ''}`;
  return { specversion: '1.0', id, source: PUBLIC_WEB_SOURCE, type, data: { event_name: shown, number } };
}

/** What the client is told by an entry: the result of its request, or why there is none. */
export function toResponse({
  token,
  event,
  requestId,
}: Pick<Entry, 'token' | 'event' | 'requestId'>): EventResponse {
  const [, event_name = event.type, number = '0'] = ID.exec(requestId ?? '') ?? [];
  const asked = { event_name, number: Number(number), token };
  const result = resultOf(event);
  return result === undefined ? { ...asked, problem: problemOf(event) } : { ...asked, result };
}

function resultOf({ type, data }: CloudEvent): number | undefined {
  const { result } = (type === PROBLEM_TYPE ? {} : (data ?? {})) as { result?: unknown };
  return Number.isInteger(result) && result === Number(result) << 0 ? (result as number) : undefined;
}

function problemOf({ type, data }: CloudEvent): Pick<Problem, 'status' | 'code' | 'detail'> {
  const {
    status,
    code,
    title,
    detail = title,
  } = type === PROBLEM_TYPE ? (data as Problem) : problemOfType(type, data);
  return { status, code, detail };
}

function problemOfType(type: string, data: unknown): Problem {
  if (type !== GAP_TYPE)
    return problemFor('handler-failed', `the reply ${type} has no result that is an int32`);
  const { from, to } = data as { from: string; to: string };
  return problemFor('gone', `what came after ${from}, up to ${to}, is not kept any more`);
}
