/** The descriptions behind `GET /openapi.json` and `/docs`. */

const plainEvent = {
  type: 'object',
  required: ['type'],
  properties: {
    id: { type: 'string', maxLength: 128, description: 'Echoed; made by the server when absent' },
    type: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' },
    data: {},
  },
  examples: [{ type: 'PingRequest', data: { sentAt: 1 } }],
};

const cloudEvent = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  properties: {
    specversion: { type: 'string', enum: ['1.0'] },
    id: { type: 'string', maxLength: 128 },
    source: { type: 'string', format: 'uri-reference' },
    type: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' },
    time: { type: 'string', format: 'date-time' },
    subject: { type: 'string' },
    dataschema: { type: 'string' },
    datacontenttype: { type: 'string' },
    data: {},
    data_base64: { type: 'string', contentEncoding: 'base64' },
  },
  additionalProperties: true,
};

const problem = {
  type: 'object',
  description: 'RFC 9457 problem',
  properties: {
    type: { type: 'string', description: 'urn:waybill:problem:<code>' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    event_id: { type: 'string' },
  },
};

const problems = Object.fromEntries(
  Object.entries({
    400: 'The request is at fault (`invalid-request`); nothing was sent',
    404: 'No listener takes events of this type (`unroutable`); nothing is queued',
    413: 'The request is too large (`too-large`)',
    415: 'The content type is not supported (`unsupported-media-type`)',
    502: 'The listener failed for good (`handler-failed`)',
    503: 'Provably not enqueued (`not-accepted`); safe to retry after `Retry-After`',
    504: 'The outcome is unknown (`outcome-unknown`); it may have run. Retry with the same id',
  }).map(([status, description]) => [
    status,
    { description, content: { 'application/problem+json': { schema: problem } } },
  ]),
);

const preferHeader = {
  type: 'object',
  properties: {
    prefer: { type: 'string', description: '`wait=<seconds>` shortens the deadline (RFC 7240)' },
  },
};

/** `POST /` and `POST /events`. */
export const eventRouteSchema = {
  tags: ['events'],
  summary: 'Send an event and wait for its reply, which comes in the same mode',
  description:
    'CloudEvents 1.0 over HTTP in binary (`ce-*` headers), structured or batched mode, or a plain JSON event. ' +
    'A batch is answered 200 with one event per input, in order; a failed one is a `waybill.Problem`.',
  headers: preferHeader,
  body: {
    content: {
      'application/json': { schema: plainEvent },
      'application/cloudevents+json': { schema: cloudEvent },
      'application/cloudevents-batch+json': { schema: { type: 'array', items: cloudEvent } },
    },
  },
  response: {
    200: {
      description: 'The reply',
      content: {
        'application/json': { schema: plainEvent },
        'application/cloudevents+json': { schema: cloudEvent },
        'application/cloudevents-batch+json': { schema: { type: 'array', items: cloudEvent } },
      },
    },
    ...problems,
  },
};

/** `GET /ping` and `POST /ping`. */
export const pingRouteSchema = {
  tags: ['events'],
  summary: 'Send a PingRequest made by the server',
  headers: preferHeader,
  response: {
    200: { description: 'The PingResponse', content: { 'application/json': { schema: plainEvent } } },
    ...problems,
  },
};

/** The document's head. */
export const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Waybill',
    version: '0.1.0',
    description: 'Events in, replies out. Internal ports are not part of this.',
  },
};
