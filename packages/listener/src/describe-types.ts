import type { StandardJSONSchemaV1 } from '@standard-schema/spec';
import type {
  JsonSchema,
  TypeDescription,
  TypeDescriptions,
} from '@waybill/common/event/type-descriptions.ts';
import type { Handlers } from './handler.ts';
import { withDefaults } from './handler-options.ts';
import type { Schema } from './schema.ts';

/**
 * What handlers say of the types that they answer: the JSON Schema of each that has a schema with one (that of Zod,
 * ArkType and `jsonSchema` has; one of Valibot has by `toStandardJsonSchema` of `@valibot/to-json-schema`).
 *
 * @param onUndescribed told of a type whose schema has none, and why.
 */
export function describeTypes<Data extends Record<string, unknown>>(
  handlers: Handlers<Data>,
  onUndescribed: (type: string, reason: string) => void = () => {},
): TypeDescriptions {
  return Object.fromEntries(
    Object.entries(handlers).map(([type, handler]): [string, TypeDescription] => {
      const { schema } = withDefaults(handler);
      if (!schema) return [type, {}];
      try {
        return [type, { data: toJsonSchema(schema) }];
      } catch (error) {
        onUndescribed(type, (error as Error).message);
        return [type, {}];
      }
    }),
  );
}

/** What the schema takes, which is what a client sends, and not what a handler gets. */
function toJsonSchema(schema: Schema): JsonSchema {
  const { jsonSchema, vendor } = (schema as Partial<StandardJSONSchemaV1> & Schema)['~standard'] as Partial<
    StandardJSONSchemaV1['~standard']
  > &
    Schema['~standard'];
  if (!jsonSchema) throw new Error(`its schema (${vendor}) has no JSON Schema`);
  return jsonSchema.input({ target: 'draft-2020-12' });
}
