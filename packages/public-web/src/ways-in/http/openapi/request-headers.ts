/** The headers of requests that the server reads. */
import { attribute, dataschema, id, source, time, type } from './event-schemas.ts';

/** Of routes that wait for an answer. */
export const preferHeader = {
  type: 'object',
  properties: {
    prefer: { type: 'string', description: '`wait=<seconds>` shortens the deadline (RFC 7240)' },
  },
};

/** Of routes that need not be waited for. */
export const asyncHeader = {
  prefer: {
    type: 'string',
    description:
      '`wait=<seconds>` shortens the deadline; `respond-async` asks for a 202 as soon as the event is accepted, with both after that wait (RFC 7240). A batch is always waited for',
  },
};

/** Of routes whose effect must not be had twice. */
export const keyHeader = {
  'idempotency-key': {
    type: 'string',
    description:
      'A string of 1 to 255 printable ASCII characters in double quotes, new for each thing to be done. Requests with ' +
      'the same one have one effect and get one answer, as far as it is remembered; one that is given again ' +
      'carries `idempotency-replayed: true`',
    pattern: '^"(?:[ !#-\\[\\]-~]|\\\\["\\\\]){1,255}"$',
    examples: ['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
  },
};

/** What the headers of the binary mode have in common. */
export const inBinaryMode = 'In binary mode; percent-encoded UTF-8 where it is not printable ASCII. ';

/** An extension `x` is a header `ce-x`. */
export const binaryHeaders = {
  'ce-specversion': { type: 'string', enum: ['1.0'], description: `${inBinaryMode}Required then` },
  'ce-id': { ...id, description: `${inBinaryMode}Required then` },
  'ce-source': { ...source, description: `${inBinaryMode}Required then` },
  'ce-type': { ...type, description: `${inBinaryMode}Required then` },
  'ce-time': { ...time, description: inBinaryMode },
  'ce-subject': { ...attribute, description: inBinaryMode },
  'ce-dataschema': { ...dataschema, description: inBinaryMode },
};
