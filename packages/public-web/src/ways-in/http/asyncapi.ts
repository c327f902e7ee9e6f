/** The AsyncAPI description behind `GET /asyncapi.json`: the same edge as in OpenAPI, told by event type. */
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { dataSchemas, eventOf, examplesOf } from './describe-types.ts';
import { openapi } from './openapi/document.ts';
import { cloudEvent, sharedSchemas } from './openapi/event-schemas.ts';
import { problem } from './openapi/problem-responses.ts';

/**
 * An AsyncAPI 3.0 document of the types that clients may send: each is a CloudEvent in structured mode, posted to `/events`,
 * whose reply is the answer to the request.
 */
export function asyncapi(types: TypeDescriptions): object {
  const names = Object.keys(types);
  const sent = names.map((type) => ({ $ref: `#/channels/events/messages/${type}` }));
  const replies = ['reply', 'problem'].map((name) => ({ $ref: `#/channels/replies/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: openapi?.info,
    defaultContentType: 'application/cloudevents+json',
    channels: {
      events: { address: '/events', messages: byName(names) },
      replies: { address: null, messages: byName(['reply', 'problem']) },
    },
    operations: {
      answerEvent: {
        action: 'receive',
        summary: 'An event in, its reply out',
        channel: { $ref: '#/channels/events' },
        messages: sent,
        bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
        reply: { channel: { $ref: '#/channels/replies' }, messages: replies },
      },
    },
    components: {
      messages: {
        ...Object.fromEntries(names.map((type) => [type, messageOf(type, types)])),
        reply: { title: 'The reply, whose type its listener chooses', payload: cloudEvent },
        problem: {
          title: 'What went wrong, with a status of 4xx or 5xx',
          contentType: 'application/problem+json',
          payload: problem,
        },
      },
      schemas: { ...sharedSchemas, ...dataSchemas(types) },
    },
  };
}

function byName(names: string[]): object {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]));
}

function messageOf(type: string, types: TypeDescriptions): object {
  const examples = examplesOf(types[type]).map((data) => ({
    payload: { specversion: '1.0', id: '1', source: '/client', type, data },
  }));
  return {
    name: type,
    title: type,
    payload: eventOf(type, types, cloudEvent),
    ...(examples.length > 0 && { examples }),
  };
}
