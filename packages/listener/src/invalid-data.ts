import type { StandardSchemaV1 } from '@standard-schema/spec';
import { TerminalError } from './handler.ts';

/** Most faults of one event's data that its client is told: an array of wrong items has as many. */
export const MAX_DATA_ERRORS = 20;
/** Longest of what a validator says, and of a pointer: both may repeat the data. */
const MAX_LENGTH = 256;

/** One fault of the data, as RFC 9457 shows in its section 3: a JSON Pointer (RFC 6901, section 6) into the data, and what is wrong there. */
export type DataError = { pointer: string; detail: string };

/**
 * Data that the schema of its handler does not take. Its sender is told (422, `invalid-data`); where nobody waits, it is
 * given up as any {@link TerminalError}.
 */
export class InvalidDataError extends TerminalError {
  readonly errors: DataError[];

  constructor(issues: readonly StandardSchemaV1.Issue[]) {
    const errors = issues.slice(0, MAX_DATA_ERRORS).map(toDataError);
    super('invalid-data', errors.map(({ pointer, detail }) => `${pointer}: ${detail}`).join('; '));
    this.name = 'InvalidDataError';
    this.errors = errors;
  }
}

function toDataError({ path = [], message }: StandardSchemaV1.Issue): DataError {
  const keys = path.map((segment) => (typeof segment === 'object' ? segment.key : segment));
  const pointer = ['#', ...keys.map(toPointerSegment)].join('/');
  return { pointer: pointer.slice(0, MAX_LENGTH), detail: message.slice(0, MAX_LENGTH) };
}

/** RFC 6901, sections 3 and 6: in a URI fragment it is percent-encoded. */
function toPointerSegment(key: PropertyKey): string {
  return encodeURIComponent(String(key).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1'));
}
