import { InvalidDataError } from './invalid-data.ts';
import type { Schema } from './schema.ts';
import type { Step } from './step.ts';

/**
 * Gives `next` events with data that is valid by `schema`, as the schema gives it back: with its defaults, and what it
 * transforms. Without a schema there is nothing to do.
 *
 * @throws InvalidDataError for other data, or what the schema itself throws.
 */
export function withSchema<T>(next: Step<T>, { schema }: { schema: Schema | undefined }): Step<T> {
  if (!schema) return next;
  const { validate } = schema['~standard'];
  return async (event, context) => {
    const result = await validate(event.data);
    if (!result.issues) return await next({ ...event, data: result.value }, context);
    if (event.data_base64 === undefined) throw new InvalidDataError(result.issues);
    // Whose data is bytes sent no JSON; that `undefined` is no object says little of that.
    const type = event.datacontenttype ?? 'none';
    throw new InvalidDataError([{ message: `must be JSON, and is bytes (content type: ${type})` }]);
  };
}
