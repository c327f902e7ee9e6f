import { createRequire } from 'node:module';
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import { AppError } from '@waybill/common/errors.ts';
import type { ErrorObject } from 'ajv';
import { MAX_DATA_ERRORS } from './invalid-data.ts';
import type { Schema } from './schema.ts';

/** What a schema library that can be described in JSON Schema has (https://standardschema.dev/json-schema). */
export type Described = StandardJSONSchemaV1;

/**
 * Makes a {@link Schema} of a JSON Schema, draft 2020-12, with the formats of its validation vocabulary. TypeScript is told
 * the type of its data, or takes it for `unknown`.
 *
 * @throws AppError `invalid-config` when it is no JSON Schema: a keyword or a format that the draft does not know is one
 *   that was misspelt.
 *
 * @example
 * const Order = jsonSchema<{ sku: string }>({
 *   type: 'object',
 *   required: ['sku'],
 *   properties: { sku: { type: 'string' } },
 * });
 * const Typed = jsonSchema<Static<typeof TypeBoxOrder>>(TypeBoxOrder);
 */
export function jsonSchema<Data = unknown>(schema: object): Schema<Data> & Described {
  const validate = compile(schema);
  return {
    '~standard': {
      version: 1,
      vendor: 'waybill',
      validate: (value) =>
        validate(value) ? { value: value as Data } : { issues: issuesOf(validate.errors ?? []) },
      jsonSchema: { input: () => ({ ...schema }), output: () => ({ ...schema }) },
    },
  };
}

/** With the first schema, as listeners without one start in less time so: these are a hundred modules. */
const load = createRequire(import.meta.url);

function compile(schema: object) {
  const { Ajv2020 }: typeof import('ajv/dist/2020.js') = load('ajv/dist/2020.js');
  const addFormats: typeof import('ajv-formats') = load('ajv-formats');
  // One of its own per schema, because those that were written apart may have the same `$id`.
  const ajv = new Ajv2020({ allErrors: true, strictTypes: false, strictTuples: false });
  addFormats.default(ajv);
  try {
    return ajv.compile(schema);
  } catch (cause) {
    throw new AppError('invalid-config', `no JSON Schema: ${(cause as Error).message}`, { cause });
  }
}

/** No more than anybody is told, as an array of wrong items has as many. */
function issuesOf(errors: ErrorObject[]): StandardSchemaV1.Issue[] {
  return errors.slice(0, MAX_DATA_ERRORS).map((error) => ({
    message: error.message ?? error.keyword,
    path: [...segmentsOf(error.instancePath), ...memberAtFault(error)],
  }));
}

function segmentsOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** ajv points at the object that lacks a member, or has one too many; clients look for the member. */
function memberAtFault({ params }: ErrorObject): string[] {
  const { missingProperty, additionalProperty, unevaluatedProperty } = params;
  const member = missingProperty ?? additionalProperty ?? unevaluatedProperty;
  return member === undefined ? [] : [String(member)];
}
