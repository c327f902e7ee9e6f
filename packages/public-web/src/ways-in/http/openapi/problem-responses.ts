/** What clients are told when they get no reply. */
import type { ErrorCode } from '@waybill/common/errors.ts';
import { problemFor } from '@waybill/common/problem.ts';

/** The schema of a problem. */
export const problem = {
  type: 'object',
  description: 'RFC 9457 problem',
  required: ['type', 'title', 'status', 'code'],
  properties: {
    type: { type: 'string', description: 'urn:waybill:problem:<code>, or one that the listener chose' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: {
      type: 'string',
      description: 'One of those that are listed here by status, or one of the handler',
    },
    errors: {
      type: 'array',
      description: 'Of `invalid-data`',
      items: {
        type: 'object',
        properties: { pointer: { type: 'string' }, detail: { type: 'string' } },
      },
    },
    event_id: { type: 'string', description: 'The id of the event, where it could be read' },
    location: {
      type: 'string',
      description: 'Of `outcome-unknown`, where there is a store: as in `Location`',
    },
  },
};

/** What each status of a problem means to who sent an event. */
export const faults = {
  400: 'The request is at fault (`invalid-request`); nothing was sent',
  401: 'An API key is needed, and missing or wrong (`unauthorized`)',
  403: 'The API key does not permit this (`forbidden`)',
  404: 'No listener takes events of this type (`unroutable`); nothing is queued',
  408: 'The request did not come to its end within 10 s (`invalid-request`)',
  413: 'The request is too large (`too-large`)',
  415: 'The content type is not supported, or the body is encoded: `Accept-Encoding` says so (`unsupported-media-type`)',
  421: 'The host name is not served here (`misdirected`, setting `ALLOWED_HOSTS`); nothing was sent',
  429: 'Too many events (`rate-limited`), or no room for another `Idempotency-Key` (`keys-full`); nothing was sent. Retry after `Retry-After`',
  431: 'The headers are too large (`invalid-request`)',
  502: 'The listener failed for good (`handler-failed`). It may choose another status and a type of its own: with this code the event has run, whatever the status says',
  503: 'Provably not enqueued (`not-accepted`); safe to retry after `Retry-After`',
  504: 'The outcome is unknown (`outcome-unknown`); it may have run. Where there is a store, `Location` is where its answer will be. Retry with the same event id (and a new `Idempotency-Key`)',
};

/** Responses with a problem, from what each status means. The first code in a description is that of its example. */
export function problemResponses(descriptions: Record<number, string>) {
  const toResponse = ([status, description]: [string, string]) => {
    const code = /`([a-z-]+)`/.exec(description)?.[1] as ErrorCode;
    const example = { ...problemFor(code), status: Number(status) };
    return [status, { description, content: { 'application/problem+json': { schema: problem, example } } }];
  };
  return Object.fromEntries(Object.entries(descriptions).map(toResponse));
}

/** Those of an event. */
export const problems = {
  ...problemResponses(faults),
  default: {
    description:
      'A problem that the handler has answered with: its status and its code are its own, and the event is done',
    content: { 'application/problem+json': { schema: problem } },
  },
};

/** Of what needs a store. */
export const noStore = problemResponses({ 501: 'There is no store (`no-store`, setting `STORE_URLS`)' });

const KEY_REUSED =
  'The `Idempotency-Key` came with another body or route (`idempotency-key-reused`); nothing was sent';
/** Of what takes an `Idempotency-Key`. */
export const keyReused = problemResponses({ 422: KEY_REUSED });
/** Of an event, in place of {@link keyReused}. */
export const invalidData = problemResponses({
  422: `The data is not as the schema of its type says (\`invalid-data\`): \`errors\` has a JSON Pointer into it, and what is wrong there, for each fault. Or: ${KEY_REUSED}`,
});
