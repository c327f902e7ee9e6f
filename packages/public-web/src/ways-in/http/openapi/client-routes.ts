/** The routes of clients: of datasets, and of those that can send no headers. */
import { withoutReservedMembers } from './event-schemas.ts';
import { faults, keyReused, problemResponses } from './problem-responses.ts';
import { keyHeader } from './request-headers.ts';

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
  ...withoutReservedMembers,
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
