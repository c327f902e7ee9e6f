/** Reads OTLP/JSON of which nothing is known yet. */
import { AppError } from '@waybill/common/errors.ts';

/** A message of OTLP in JSON; absent fields have their default value. */
export type OtlpObject = Record<string, unknown>;

/** A message; an absent one is empty. @throws AppError `invalid-request` if it is anything else. */
export function object(value: unknown): OtlpObject {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' && !Array.isArray(value)) return value as OtlpObject;
  throw new AppError('invalid-request', 'the export is not as OTLP has it: an object was expected');
}

/** A repeated field; an absent one is empty. @throws AppError `invalid-request` if it is no list of messages. */
export function list(value: unknown): OtlpObject[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value.map(object);
  throw new AppError('invalid-request', 'the export is not as OTLP has it: a list was expected');
}
