/** The descriptions behind `GET /openapi.json` and `/docs`. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { MEDIA_TYPE_PATTERN } from '@waybill/common/event/media-type.ts';

/** The last two of each plane but the first, as themselves: not every engine of patterns has an escape for them. */
const HIGH_NONCHARACTERS = Array.from({ length: 16 }, (_, plane) =>
  String.fromCodePoint(plane * 0x1_0000 + 0x1_fffe, plane * 0x1_0000 + 0x1_ffff),
).join('');

/** Without control characters, noncharacters and halves of surrogate pairs; what is longer is refused too. */
const text = (maxLength: number) => ({
  type: 'string',
  minLength: 1,
  maxLength,
  pattern: `^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff\\ufdd0-\\ufdef\\ufffe\\uffff${HIGH_NONCHARACTERS}]*$`,
});
const id = text(128);
const attribute = text(2048);
const type = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' };

/** Any JSON but what parsers here refuse. */
const data = {
  description:
    'Any JSON, nested at most 31 deep (30 in a batch), without numbers beyond the range of doubles, and without members named `__proto__` or `constructor`',
};

/** At any depth; this says it of the first. */
const noReservedMembers = { propertyNames: { not: { enum: ['__proto__', 'constructor'] } } };

const plainEvent = {
  type: 'object',
  ...noReservedMembers,
  required: ['type'],
  properties: {
    id: { ...id, description: 'Echoed; made by the server when absent' },
    type,
    data,
  },
  examples: [{ type: 'PingRequest', data: { sentAt: 1 } }],
};

const integer = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };

export const cloudEvent = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  maxProperties: 64,
  properties: {
    specversion: { type: 'string', enum: ['1.0'] },
    id,
    source: { ...attribute, format: 'uri-reference' },
    type,
    time: { type: 'string', format: 'date-time' },
    subject: attribute,
    dataschema: { ...attribute, format: 'uri' },
    datacontenttype: { ...attribute, pattern: MEDIA_TYPE_PATTERN },
    data,
    data_base64: {
      type: 'string',
      contentEncoding: 'base64',
      pattern: '^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$',
    },
  },
  patternProperties: {
    '^(?!constructor$|(?:specversion|id|source|type|time|subject|dataschema|datacontenttype|data)$)[a-z0-9]{1,64}$':
      {
        anyOf: [{ ...attribute, minLength: 0 }, { type: 'boolean' }, integer],
      },
  },
  not: { required: ['data', 'data_base64'] },
  additionalProperties: false,
};

export const problem = {
  type: 'object',
  description: 'RFC 9457 problem',
  properties: {
    type: { type: 'string', description: 'urn:waybill:problem:<code>, or one that the listener chose' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    errors: {
      type: 'array',
      description: 'Of `invalid-data`',
      items: {
        type: 'object',
        properties: { pointer: { type: 'string' }, detail: { type: 'string' } },
      },
    },
    event_id: { type: 'string' },
  },
};

const faults = {
  400: 'The request is at fault (`invalid-request`); nothing was sent',
  401: 'An API key is needed, and missing or wrong (`unauthorized`)',
  403: 'The API key does not permit this (`forbidden`)',
  404: 'No listener takes events of this type (`unroutable`); nothing is queued',
  408: 'The request did not come to its end within 10 s (`invalid-request`)',
  413: 'The request is too large (`too-large`)',
  415: 'The content type is not supported, or the body is encoded: `Accept-Encoding` says so (`unsupported-media-type`)',
  421: 'The host name is not served here (`misdirected`, setting `ALLOWED_HOSTS`); nothing was sent',
  429: 'Too many events (`rate-limited`); nothing was sent. Retry after `Retry-After`',
  431: 'The headers are too large (`invalid-request`)',
  502: 'The listener failed for good (`handler-failed`). It may choose another status and a type of its own: with this code the event has run, whatever the status says',
  503: 'Provably not enqueued (`not-accepted`); safe to retry after `Retry-After`',
  504: 'The outcome is unknown (`outcome-unknown`); it may have run. Where there is a store, `Location` is where its answer will be. Retry with the same event id (and a new `Idempotency-Key`)',
};

function problemResponses(descriptions: object) {
  const content = { 'application/problem+json': { schema: problem } };
  return Object.fromEntries(
    Object.entries(descriptions).map(([status, description]) => [status, { description, content }]),
  );
}

const problems = problemResponses(faults);

const preferHeader = {
  type: 'object',
  properties: {
    prefer: { type: 'string', description: '`wait=<seconds>` shortens the deadline (RFC 7240)' },
  },
};

const asyncHeader = {
  prefer: {
    type: 'string',
    description:
      '`wait=<seconds>` shortens the deadline; `respond-async` asks for a 202 as soon as the event is accepted, with both after that wait (RFC 7240). A batch is always waited for',
  },
};

const keyHeader = {
  'idempotency-key': {
    type: 'string',
    description:
      'A string of 1 to 255 printable ASCII characters in double quotes, new for each thing to be done. Requests with ' +
      'the same one have one effect and get one answer, as far as this instance remembers; one that is given again ' +
      'carries `idempotency-replayed: true`',
    pattern: '^"(?:[ !#-\\[\\]-~]|\\\\["\\\\]){1,255}"$',
    examples: ['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
  },
};

const pending = {
  type: 'object',
  required: ['id', 'location'],
  properties: {
    id: { ...id, description: 'Of the event' },
    location: { type: 'string', format: 'uri-reference', description: 'As in `Location`' },
  },
};
const accepted = {
  description: 'Accepted; the answer will be at `Location`, in the mode that was asked in',
  headers: { location: { schema: { type: 'string' } }, 'retry-after': { schema: { type: 'integer' } } },
  content: { 'application/json': { schema: pending } },
};
const noStore = problemResponses({ 501: 'There is no store (`no-store`, setting `STORE_URLS`)' });

const inBinaryMode = 'In binary mode; percent-encoded UTF-8 where it is not printable ASCII. ';

/** An extension `x` is a header `ce-x`. */
const binaryHeaders = {
  'ce-specversion': { type: 'string', enum: ['1.0'], description: `${inBinaryMode}Required then` },
  'ce-id': { ...id, description: `${inBinaryMode}Required then` },
  'ce-source': { ...attribute, format: 'uri-reference', description: `${inBinaryMode}Required then` },
  'ce-type': { ...type, description: `${inBinaryMode}Required then` },
  'ce-time': { type: 'string', format: 'date-time', description: inBinaryMode },
  'ce-subject': { ...attribute, description: inBinaryMode },
  'ce-dataschema': { ...attribute, format: 'uri', description: inBinaryMode },
};

const KEY_REUSED =
  'The `Idempotency-Key` came with another body or route (`idempotency-key-reused`); nothing was sent';
const keyReused = problemResponses({ 422: KEY_REUSED });
const invalidData = problemResponses({
  422: `The data is not as the schema of its type says (\`invalid-data\`): \`errors\` has a JSON Pointer into it, and what is wrong there, for each fault. Or: ${KEY_REUSED}`,
});

/** No listener's failure is waited for. */
const { 502: _, ...clientFaults } = faults;
const clientProblems = problemResponses({
  ...clientFaults,
  404: 'No listener dispatches datasets (`unroutable`); nothing is queued',
  504: 'The outcome is unknown (`outcome-unknown`); the dataset may come. A retry starts another stream, but for one with the same `Idempotency-Key`',
});

const name = { type: 'string', pattern: '^[\\w.:-]{1,128}$' };

const newClient = {
  type: 'object',
  ...noReservedMembers,
  required: ['client_id', 'queue_name', 'amqp_host', 'amqp_user', 'amqp_pass'],
  properties: {
    client_id: { ...name, description: 'Travels with every batch' },
    queue_name: {
      ...name,
      pattern: '^(?!amq\\.|waybill\\.)[\\w.:-]{1,128}$',
      description: "The client's own queue, declared durable if it does not exist; not amq.* or waybill.*",
    },
    amqp_host: {
      type: 'string',
      minLength: 1,
      maxLength: 255,
      description: 'A broker that CLIENT_BROKERS allows',
    },
    amqp_port: { type: 'integer', minimum: 0, maximum: 65535, default: 0, description: '0 means 5672' },
    amqp_user: { type: 'string', minLength: 1, maxLength: 255 },
    amqp_pass: { type: 'string', minLength: 1, maxLength: 255, format: 'password', writeOnly: true },
  },
};

const acceptedClient = {
  type: 'object',
  properties: {
    stream_id: { type: 'string', format: 'uuid', description: 'In the headers of every batch' },
    status: { type: 'string', enum: ['OK'] },
    message: { type: 'string' },
  },
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
      content: {
        'application/json': { schema: plainEvent },
        'application/cloudevents+json': { schema: cloudEvent },
        'application/cloudevents-batch+json': { schema: { type: 'array', items: cloudEvent } },
      },
    },
    202: accepted,
    ...problems,
    ...noStore,
    ...invalidData,
  },
};

const place = {
  type: 'object',
  required: ['place'],
  properties: { place: { type: 'string', description: 'As the `Location` has it' } },
};
const gone = problemResponses({
  401: faults[401],
  404: 'No such request (`not-found`)',
  410: 'It was cancelled, or is too old (`gone`)',
  503: 'No store answers now (`not-accepted`)',
});

/** `GET /requests/{place}`. */
export const requestRouteSchema = {
  tags: ['events'],
  summary: 'Fetch the answer to a request that was not waited for, or not long enough',
  description:
    'The answer stays where it is, for a day. It comes in the mode, and with the status, it was asked for.',
  params: place,
  headers: {
    type: 'object',
    properties: { prefer: { type: 'string', description: '`wait=<seconds>` waits for it (RFC 7240)' } },
  },
  response: { 200: eventRouteSchema.response[200], 202: accepted, ...problems, ...gone, ...noStore },
};

/** `DELETE /requests/{place}`. */
export const deleteRequestRouteSchema = {
  tags: ['events'],
  summary: 'Remove the answer, also one that is still to come',
  description: 'The event itself goes on if it is under way.',
  params: place,
  response: { 204: { description: 'Removed', type: 'null' }, ...gone, ...noStore },
};

/** `GET /ping`. */
export const pingRouteSchema = {
  tags: ['events'],
  summary: 'Send a PingRequest made by the server',
  headers: preferHeader,
  response: {
    200: { description: 'The PingResponse', content: { 'application/json': { schema: plainEvent } } },
    ...problems,
  },
};

/** `POST /ping`. */
export const postPingRouteSchema = {
  ...pingRouteSchema,
  headers: { type: 'object', properties: { ...preferHeader.properties, ...keyHeader } },
  response: { ...pingRouteSchema.response, ...keyReused },
};

/** `POST /clients`. */
export const clientRouteSchema = {
  tags: ['clients'],
  summary: "Have a dataset sent to a client's own queue",
  description:
    'Answers as soon as the broker has the request; the dataset follows, batch by batch. ' +
    'The same over gRPC: `data_dispatcher_service.DataDispatcherService/NotifyNewClient`.',
  headers: { type: 'object', properties: keyHeader },
  body: { content: { 'application/json': { schema: newClient } } },
  response: {
    202: { description: 'Accepted', content: { 'application/json': { schema: acceptedClient } } },
    ...clientProblems,
    ...keyReused,
  },
};

const ticket = {
  type: 'object',
  required: ['ticket', 'expires'],
  properties: {
    ticket: { type: 'string', description: 'For `GET /ws?ticket=…`, once' },
    expires: { type: 'string', format: 'date-time', description: 'In 30 s' },
  },
};

const { 404: _unroutable, 502: _failed, 504: _unknown, ...ticketFaults } = faults;

/** `POST /tickets`. */
export const ticketRouteSchema = {
  tags: ['clients'],
  summary: 'Get a ticket that stands for the API key where no header can be sent',
  description: 'A web page opens its WebSocket with it, as browsers send no headers of its choice.',
  response: {
    201: { description: 'A ticket', content: { 'application/json': { schema: ticket } } },
    ...problemResponses(ticketFaults),
  },
};

/** The document's head. */
export const openapi: FastifyDynamicSwaggerOptions['openapi'] = {
  openapi: '3.1.0',
  info: {
    title: 'Waybill',
    version: '0.1.0',
    description: 'Events in, replies out. Internal ports are not part of this.',
  },
  servers: [{ url: '/', description: 'Where this document comes from' }],
  components: {
    securitySchemes: {
      bearer: {
        type: 'http',
        scheme: 'bearer',
        description: 'An API key, where the setting API_KEYS asks for one',
      },
      header: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same' },
    },
  },
  security: [{}, { bearer: [] }, { header: [] }],
};
