import { type JsonSchema, placedAt, type TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { compile } from 'json-schema-to-typescript';

/** TypeScript for clients: `EventData`, the type of the data of each event type. What is not described is `unknown`. */
export async function toClientTypes(types: TypeDescriptions): Promise<string> {
  const entries = Object.entries(types);
  const schema: JsonSchema = {
    type: 'object',
    description: 'The data of the events that can be sent, by their type.',
    required: entries.map(([type]) => type),
    additionalProperties: false,
    properties: Object.fromEntries(
      entries.map(([type, { data = {} }]) => [type, placedAt(`#/properties/${type}`, data)]),
    ),
  };
  return compile(schema, 'EventData', {
    additionalProperties: false,
    bannerComment: '/** Made by bin/describe-types.mjs; changes are lost when it is made again. */',
    format: false,
    unknownAny: true,
  });
}
