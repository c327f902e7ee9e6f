/** The routes of clients that have a mailbox. */
import { accepted, eventRouteSchema } from './event-routes.ts';
import { faults, keyReused, noStore, problemResponses } from './problem-responses.ts';
import { batchReplies } from './reply-schemas.ts';

const client = {
  type: 'string',
  pattern: '^[\\w.:-]{1,128}$',
  description: 'An id of its own choice; of each API key they are others',
};
const params = { type: 'object', required: ['client'], properties: { client } };
const after = {
  type: 'string',
  description: 'The `token` of the last event that the client has; acknowledges all up to it',
};
const { 404: _unroutable, 502: _failed, 504: _unknown, ...readingFaults } = faults;
const { 502: _noReply, ...sendingFaults } = faults;
const reading = problemResponses({ ...readingFaults, 503: 'No store answers now (`not-accepted`)' });

/** `GET /clients/{client}/mailbox`. */
export const mailboxRouteSchema = {
  tags: ['clients'],
  summary: "Read a client's mailbox, from a token on",
  description:
    'A batch of as many events as fit, in order, each with its `token` and the `requestid` that it answers; an empty one when there is nothing. ' +
    'A `waybill.Gap` comes first when something after the token is not kept any more.',
  params,
  querystring: { type: 'object', properties: { after } },
  headers: {
    type: 'object',
    properties: {
      prefer: { type: 'string', description: '`wait=<seconds>` waits while there is nothing (RFC 7240)' },
    },
  },
  response: {
    200: {
      description: 'What comes after the token',
      content: { 'application/cloudevents-batch+json': { schema: batchReplies } },
    },
    ...reading,
    ...problemResponses({ 404: 'The client has no mailbox (`not-found`)' }),
    ...noStore,
  },
};

/** `GET /clients/{client}/events`. */
export const clientEventsRouteSchema = {
  tags: ['clients'],
  summary: "Have a client's mailbox streamed, as Server-Sent Events",
  description:
    'The `id` of each is its token, for `Last-Event-ID`. The stream ends now and then; come back with it.',
  params,
  querystring: {
    type: 'object',
    properties: { after, ticket: { type: 'string', description: 'Of `POST /tickets`, in place of a key' } },
  },
  headers: { type: 'object', properties: { 'last-event-id': { ...after, description: 'As `after`' } } },
  response: {
    200: { description: 'Events', content: { 'text/event-stream': { schema: { type: 'string' } } } },
    ...reading,
    ...noStore,
  },
};

/** `POST /clients/{client}/events`. */
export const postClientEventRouteSchema = {
  ...eventRouteSchema,
  tags: ['clients'],
  summary: "Send an event whose result goes to a client's mailbox",
  description: 'Answered as soon as the broker has the event; a batch is not taken.',
  params,
  response: {
    202: accepted,
    ...problemResponses({
      ...sendingFaults,
      429: 'Too many events (`rate-limited`); or the mailbox is full (`mailbox-full`): acknowledge what was read of it, or wait for results; or there is no room for another `Idempotency-Key` (`keys-full`). Nothing was sent',
    }),
    ...keyReused,
    ...noStore,
  },
};
