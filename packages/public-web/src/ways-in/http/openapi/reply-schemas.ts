/** Replies, which name the event that they answer. */
import { cloudEvent, id, type } from './event-schemas.ts';
import { inBinaryMode } from './request-headers.ts';

const data = { description: 'What the handler replied; in the plain shape bytes are `{ base64 }`' };

/** To plain JSON. */
export const plainReply = {
  type: 'object',
  required: ['id', 'type'],
  properties: { id: { ...id, description: 'That of the event' }, type, data },
};

/** In structured mode. */
export const replyEvent = {
  ...cloudEvent,
  required: [...cloudEvent.required, 'requestid'],
  properties: {
    ...cloudEvent.properties,
    id: { ...id, description: 'Of the reply itself' },
    data,
    requestid: { ...id, description: 'The id of the event' },
  },
};

/** To a batch. What was no event has no id to name. */
export const batchReplies = { type: 'array', items: { ...replyEvent, required: cloudEvent.required } };

/** In binary mode; what else the reply has comes in the same way. */
export const binaryReplyHeaders = Object.fromEntries(
  Object.entries({
    id: 'of the reply itself',
    type: 'of the reply',
    source: 'of the reply',
    requestid: 'of the event',
  }).map(([name, whose]) => [`ce-${name}`, { type: 'string', description: `${inBinaryMode}That ${whose}` }]),
);

const pong = { type: 'PingResponse', data: { sentAt: 1795220678836, receivedAt: 1795220678840 } };
const requestid = 'b1e5f5a0-5a0e-4d6c-8d2b-0a5b1f4b7c11';

/** Of the reply to a ping. */
export const replyExamples = {
  plain: { id: requestid, ...pong },
  event: {
    ...{ specversion: '1.0', id: '0d4c0bc5-51a2-4bd3-a2b7-0b5a3bb1a0c7', source: '/waybill/ping', ...pong },
    time: '2026-11-21T08:24:38.840Z',
    requestid,
  },
};
