import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { pino } from 'pino';
import type {
  EventWith,
  FurtherEvent,
  Handler,
  HandlerContext,
  HandlerResult,
  HandlerWithOptions,
  NewEvent,
} from '../handler.ts';
import { withDefaults } from '../handler-options.ts';
import { makeEvent } from '../make-event.ts';
import { Problem } from '../problem.ts';
import { validated } from '../with-schema.ts';

/**
 * Calls a handler with one event, and resolves with what it makes of it. Its schema is applied before, and what it makes
 * has to be fit to be sent, as it has in a listener. What of the event is not given is made up.
 *
 * @param context of the handler; by default it is the first attempt, which nobody ends, no request is answered, and what is
 *   published goes nowhere.
 * @throws InvalidDataError for data that the schema does not take, TerminalError for a reply or a further event that cannot
 *   be sent, and what the handler throws; a Problem also when it is returned.
 *
 * @example
 * const { reply } = await handleEvent(handlers['Order.Place'], { data: { sku: 'x' } });
 * assert.deepEqual(reply?.data, { placed: true });
 */
export async function handleEvent<Event extends CloudEvent, Data>(
  handler: Handler<Event> | HandlerWithOptions<Data>,
  given: Partial<CloudEvent> = {},
  context: Partial<HandlerContext> = {},
): Promise<HandlerResult> {
  const { handle, schema } = withDefaults(handler as Handler | HandlerWithOptions);
  const event: CloudEvent = {
    ...{ specversion: '1.0', id: randomUUID(), source: '/test', type: 'Test' },
    ...given,
  };
  const taken = schema ? await validated(event, schema) : (event as EventWith<unknown>);
  const result = (await handle(taken, { ...calmContext(), ...context })) ?? {};
  if (result instanceof Problem) throw result;
  if (result.reply) assertCanBeSent(result.reply, event, 'reply');
  for (const further of result.events ?? []) assertCanBeSent(further, event, 'event');
  return result;
}

function calmContext(): HandlerContext {
  const never = new AbortController().signal;
  return {
    ...{ signal: never, stopping: never, attempt: 1, log: pino({ level: 'silent' }) },
    async request(type) {
      throw new Error(`nobody answers ${type} here: give the context a request of the test's own`);
    },
    publish: async () => {},
  };
}

function assertCanBeSent(made: NewEvent | FurtherEvent, event: CloudEvent, kind: 'reply' | 'event'): void {
  const { type, data, id, subject, dataschema, datacontenttype, data_base64 } = made;
  const newEvent = { type, data, id, subject, dataschema, datacontenttype, data_base64 };
  makeEvent(newEvent as NewEvent, { event, service: 'test' }, kind);
}
