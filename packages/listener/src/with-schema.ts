import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EventWith } from './handler.ts';
import { InvalidDataError } from './invalid-data.ts';
import type { Schema } from './schema.ts';
import type { Work } from './step.ts';

/** Gives `next` events as {@link validated} makes them. Without a schema there is nothing to do. */
export function withSchema<T>(next: Work<T>, { schema }: { schema: Schema | undefined }): Work<T> {
  if (!schema) return next;
  return async (event, context) => next(await validated(event, schema), context);
}

/**
 * The event with its data as the schema gives it back: with defaults, and what it transforms.
 *
 * @throws InvalidDataError for data that is not valid, or what the schema itself throws.
 */
export async function validated<Data>(event: CloudEvent, schema: Schema<Data>): Promise<EventWith<Data>> {
  const result = await schema['~standard'].validate(event.data);
  if (!result.issues) return { ...event, data: result.value };
  if (event.data_base64 === undefined) throw new InvalidDataError(result.issues);
  // Whose data is bytes sent no JSON; that `undefined` is no object says little of that.
  const type = event.datacontenttype ?? 'none';
  throw new InvalidDataError([{ message: `must be JSON, and is bytes (content type: ${type})` }]);
}
