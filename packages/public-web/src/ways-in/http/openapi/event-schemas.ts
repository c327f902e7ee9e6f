/** Events as they are sent and answered, as strict as the server where JSON Schema can say it. */
import { MEDIA_TYPE_PATTERN } from '@waybill/common/event/media-type.ts';
import { RFC3339_PATTERN } from '@waybill/common/event/rfc3339.ts';
import { URI_PATTERN, URI_REFERENCE_PATTERN } from '@waybill/common/event/uri.ts';

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
/** Of an event. */
export const id = text(128);
/** An attribute, or an extension, that is text. */
export const attribute = text(2048);
/** Of an event. */
export const type = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' };

/** Of an event. */
export const source = { ...attribute, format: 'uri-reference', pattern: URI_REFERENCE_PATTERN };
/** Of an event. */
export const time = { type: 'string', format: 'date-time', pattern: RFC3339_PATTERN };
/** Of an event. */
export const dataschema = { ...attribute, format: 'uri', pattern: URI_PATTERN };

/** No public type is called so. */
const JSON_SCHEMA = 'waybill.Json';
const data = { $ref: `#/components/schemas/${JSON_SCHEMA}` };

/** Of an object, at any depth. */
export const withoutReservedMembers = {
  propertyNames: { not: { enum: ['__proto__', 'constructor'] } },
  additionalProperties: data,
};

/**
 * What the schemas of what clients send refer to, as `components` of a document has them. How deep JSON may be would take a
 * schema for each level.
 */
export const sharedSchemas = {
  [JSON_SCHEMA]: {
    description:
      'Any JSON, nested at most 31 deep (30 in a batch), without numbers beyond the range of doubles, and without members named `__proto__` or `constructor`',
    ...withoutReservedMembers,
    items: data,
  },
};

/** An event as plain JSON. */
export const plainEvent = {
  type: 'object',
  ...withoutReservedMembers,
  required: ['type'],
  properties: {
    id: { ...id, description: 'Echoed; made by the server when absent' },
    type,
    data,
  },
  examples: [{ type: 'PingRequest', data: { sentAt: 1 } }],
};

const integer = { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 };

/** An event of CloudEvents, in structured mode. */
export const cloudEvent = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  maxProperties: 64,
  properties: {
    specversion: { type: 'string', enum: ['1.0'] },
    id,
    source,
    type,
    time,
    subject: attribute,
    dataschema,
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
