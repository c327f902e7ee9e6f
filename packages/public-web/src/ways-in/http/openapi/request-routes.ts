/** The routes of an answer that is fetched later. */
import { accepted, eventRouteSchema } from './event-routes.ts';
import { faults, noStore, problemResponses, problems } from './problem-responses.ts';

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
