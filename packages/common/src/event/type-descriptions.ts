/** What is known of event types beyond their names: what listeners say of their data, for the tier that describes them to clients. */
import { AppError } from '../errors.ts';
import { EVENT_TYPE_PATTERN } from './event.ts';

/** A JSON Schema, draft 2020-12. */
export type JsonSchema = { [keyword: string]: unknown };

/** By event type. */
export type TypeDescriptions = Record<string, TypeDescription>;

export type TypeDescription = {
  /** What the data has to be; absent: anything. */
  data?: JsonSchema;
};

/** More types belong into documents of their own. */
const MAX_TYPES = 1_000;
const MAX_LENGTH = 2 * 1024 * 1024;

/**
 * Reads descriptions from JSON text.
 *
 * @throws AppError `invalid-config` that names what is wrong.
 */
export function parseTypeDescriptions(text: string): TypeDescriptions {
  if (text.length > MAX_LENGTH) throw refuse(`they have more than ${MAX_LENGTH} characters`);
  const given = parse(text);
  if (!isObject(given)) throw refuse('give a JSON object by event type');
  const entries = Object.entries(given);
  if (entries.length > MAX_TYPES) throw refuse(`there are more than ${MAX_TYPES}`);
  for (const [type, description] of entries) {
    if (!EVENT_TYPE_PATTERN.test(type)) throw refuse(`${type.slice(0, 128)} is no event type`);
    if (!isObject(description)) throw refuse(`that of ${type} is no object`);
    for (const [member, value] of Object.entries(description))
      if (member !== 'data' || !isObject(value))
        throw refuse(`${type} has a member that is none: data is a JSON Schema`);
  }
  return given as TypeDescriptions;
}

/**
 * The schema as a part of a larger document, at `place` (a JSON Pointer in a URI fragment, such as `#/components/schemas/T`):
 * its own references lead to where it is now.
 */
export function placedAt(place: string, schema: JsonSchema): JsonSchema {
  const { $schema: _, $id: __, ...rest } = schema;
  return moved(rest) as JsonSchema;

  function moved(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(moved);
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [
        name,
        name === '$ref' && typeof member === 'string' && member.startsWith('#')
          ? place + member.slice(1)
          : moved(member),
      ]),
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refuse('it is not JSON');
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(reason: string): AppError {
  return new AppError('invalid-config', `no descriptions of types: ${reason}`);
}
