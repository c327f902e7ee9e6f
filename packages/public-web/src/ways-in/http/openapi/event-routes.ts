/** The routes that an event is sent by. */
import { cloudEvent, id, plainEvent } from './event-schemas.ts';
import { invalidData, keyReused, noStore, problems } from './problem-responses.ts';
import { batchReplies, binaryReplyHeaders, plainReply, replyEvent, replyExamples } from './reply-schemas.ts';
import { asyncHeader, binaryHeaders, keyHeader, preferHeader } from './request-headers.ts';

const pending = {
  type: 'object',
  required: ['id', 'location'],
  properties: {
    id: { ...id, description: 'Of the event' },
    location: { type: 'string', format: 'uri-reference', description: 'As in `Location`' },
  },
};
/** Of a request that is not waited for. */
export const accepted = {
  description: 'Accepted; the answer will be at `Location`, in the mode that was asked in',
  headers: { location: { type: 'string' }, 'retry-after': { type: 'integer' } },
  content: { 'application/json': { schema: pending } },
};

/** `POST /` and `POST /events`. */
export const eventRouteSchema = {
  tags: ['events'],
  summary: 'Send an event and wait for its reply, which comes in the same mode',
  description:
    'CloudEvents 1.0 over HTTP in binary (`ce-*` headers), structured or batched mode, or a plain JSON event. ' +
    'A batch is answered 200 with one event per input, in order; a failed one is a `waybill.Problem`.',
  headers: { type: 'object', properties: { ...asyncHeader, ...keyHeader, ...binaryHeaders } },
  body: {
    content: {
      'application/json': { schema: plainEvent },
      'application/cloudevents+json': { schema: cloudEvent },
      'application/cloudevents-batch+json': { schema: { type: 'array', items: cloudEvent } },
    },
  },
  response: {
    204: {
      description:
        'The event is done, and its handler has nothing to say. In a batch it is an event of type waybill.NoContent',
    },
    200: {
      description: 'The reply',
      headers: binaryReplyHeaders,
      content: {
        'application/json': { schema: plainReply, example: replyExamples.plain },
        'application/cloudevents+json': { schema: replyEvent, example: replyExamples.event },
        'application/cloudevents-batch+json': { schema: batchReplies, example: [replyExamples.event] },
        '*/*': { schema: { description: 'In binary mode: the data, in the content type of the reply' } },
      },
    },
    202: accepted,
    ...problems,
    ...noStore,
    ...invalidData,
  },
};

/** `GET /ping`. */
export const pingRouteSchema = {
  tags: ['events'],
  summary: 'Send a PingRequest made by the server',
  headers: preferHeader,
  response: {
    200: {
      description: 'The PingResponse',
      content: { 'application/json': { schema: plainReply, example: replyExamples.plain } },
    },
    ...problems,
  },
};

/** `POST /ping`. */
export const postPingRouteSchema = {
  ...pingRouteSchema,
  headers: { type: 'object', properties: { ...preferHeader.properties, ...keyHeader } },
  response: { ...pingRouteSchema.response, ...keyReused },
};
