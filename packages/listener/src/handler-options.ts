import type { Handler, Handlers, HandlerWithOptions } from './handler.ts';

/** Attempts before an event is given up, when its handler does not say, or there is none. */
export const DEFAULT_MAX_ATTEMPTS = 5;

/** Longest that a handler may ask for, or wait for a reply; see `MAX_HOLD_MS` in `create-listener.ts`. */
export const MAX_TIMEOUT_MS = 20 * 60_000;

/**
 * Longest attempt at an event in order. All that wait behind it are unacked meanwhile, and RabbitMQ takes back what is for 30
 * minutes (4.3.0 to 4.3.5 wedge a queue with a single active consumer then), so this has to be far below.
 */
export const MAX_ORDERED_TIMEOUT_MS = 5 * 60_000;

/** How long one attempt may take when its handler does not say. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** A handler with all of its settings; only a schema it may be without. */
export function withDefaults(
  handler: Handler | HandlerWithOptions,
): HandlerWithOptions & Required<Omit<HandlerWithOptions, 'schema'>> {
  const options: HandlerWithOptions = typeof handler === 'function' ? { handle: handler } : handler;
  const { handle, schema, maxAttempts = DEFAULT_MAX_ATTEMPTS, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return { handle, schema, maxAttempts, timeoutMs, ordered: options.ordered ?? false };
}

/** The types that a service takes in order. */
export function orderedTypesOf(handlers: Handlers): string[] {
  return Object.keys(handlers).filter((type) => withDefaults(handlers[type] as Handlers[string]).ordered);
}
