/** What a handler may say of the data that it takes: any schema that follows Standard Schema, version 1. */
import type { StandardSchemaV1 } from '@standard-schema/spec';

/**
 * A schema whose valid data has the type `Data`: one of Zod, Valibot or ArkType as it is, or a JSON Schema, a TypeBox one
 * among them, by `jsonSchema` (https://standardschema.dev).
 */
export type Schema<Data = unknown> = StandardSchemaV1<unknown, Data>;

/** The type of the data that is valid by a {@link Schema}. */
export type DataOf<S extends Schema> = StandardSchemaV1.InferOutput<S>;

/** Whether `value` is a {@link Schema}; those of ArkType are functions. */
export function isSchema(value: unknown): value is Schema {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard = (value as Partial<Schema>)['~standard'];
  return standard?.version === 1 && typeof standard.validate === 'function';
}
