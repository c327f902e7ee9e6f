/**
 * The data of an event that a handler made, as JSON carries it. `JSON.stringify` turns some values into others without a
 * word (a Map into `{}`, NaN into `null`, a Buffer into an object): what it would not carry is refused.
 */
import { types } from 'node:util';
import { AppError } from '@waybill/common/errors.ts';
import { assertMemberName, MAX_INTERNAL_JSON_DEPTH } from '@waybill/common/event/parse-json.ts';
import type { NewEvent } from './handler.ts';

/** The data of an event stands in the event, and that in a batch. */
const MAX_DEPTH = MAX_INTERNAL_JSON_DEPTH - 2;

/** `newEvent` with data that is bytes (a Buffer, Uint8Array or ArrayBuffer) as `data_base64` (JSON format, section 3.1). */
export function withBase64<E extends NewEvent>(newEvent: E): E {
  const bytes = toBytes(newEvent.data);
  if (!bytes || newEvent.data_base64 !== undefined) return newEvent;
  return { ...newEvent, data: undefined, data_base64: bytes.toString('base64') };
}

/**
 * @throws AppError `invalid-request` when JSON cannot carry `data`, or no tier would take it (nested too deep, or with a
 *   member that parsers refuse); it names the kind of value, and nothing of it.
 */
export function assertCarried(data: unknown): void {
  assertValueCarried(data, 1);
}

function toBytes(data: unknown): Buffer | undefined {
  if (types.isUint8Array(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return types.isAnyArrayBuffer(data) ? Buffer.from(data) : undefined;
}

function assertValueCarried(value: unknown, depth: number): void {
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw notCarried(String(value));
      return;
    case 'bigint':
    case 'function':
    case 'symbol':
      throw notCarried(`a ${typeof value}`);
    case 'object':
      if (value === null) return;
      if (JSON.isRawJSON(value)) assertValueCarried(JSON.parse(JSON.stringify(value)), depth);
      else assertObjectCarried(value, depth);
  }
}

function assertObjectCarried(value: object, depth: number): void {
  if (depth > MAX_DEPTH)
    throw new AppError('invalid-request', `data is nested deeper than ${MAX_DEPTH} levels`);
  if (Array.isArray(value)) {
    for (const item of value) {
      if (item === undefined) throw notCarried('undefined in an array');
      assertValueCarried(item, depth + 1);
    }
    return;
  }
  const kind = Object.prototype.toString.call(value).slice('[object '.length, -1);
  // A value with a `toJSON` says how it is carried; but bytes within JSON would be a list of numbers.
  if (types.isDate(value) ? Number.isNaN(value.getTime()) : ArrayBuffer.isView(value))
    throw notCarried(`a ${kind}`);
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    assertValueCarried(value.toJSON(), depth + 1);
    return;
  }
  if (kind !== 'Object') throw notCarried(`a ${kind}`);
  for (const name of Object.keys(value)) {
    assertMemberName(name);
    assertValueCarried((value as Record<string, unknown>)[name], depth + 1);
  }
}

function notCarried(what: string): AppError {
  return new AppError('invalid-request', `data has ${what}, which JSON cannot carry`);
}
