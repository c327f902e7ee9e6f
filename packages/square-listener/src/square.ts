import { type HandlerWithOptions, jsonSchema } from '@waybill/listener';

/** The data of an event that a client of `nimbus.NimbusService` has sent. */
type Numbered = { event_name: string; number: number };

const schema = jsonSchema<Numbered>({
  type: 'object',
  required: ['event_name', 'number'],
  properties: {
    event_name: { type: 'string' },
    number: { type: 'integer', minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  },
});

/**
 * Answers with the square of the number beside what was sent. It is an int32 like the number, computed modulo 2^32 as int32
 * arithmetic does it: the first that overflows is 46,341, whose square is -2,147,479,015.
 */
export const square: HandlerWithOptions<Numbered> = {
  schema,
  handle: ({ data: { event_name, number } }) => ({
    reply: { type: 'nimbus.result', data: { event_name, number, result: Math.imul(number, number) } },
  }),
};
