/**
 * Once per event: what a handler made of an event is remembered, and answers the same event when it comes again.
 *
 * | an event (`source` and `id`) that | gets |
 * |---|---|
 * | is new, or whose last attempt failed | its attempt |
 * | is being handled | the result of that; should it fail, an attempt of its own |
 * | was handled within the window | the same result: the same reply and further events, with the same ids |
 *
 * So a redelivery after a lost connection, a duplicate publication, and a client's retry after 504 with the same event
 * id all have one effect, and each is answered.
 *
 * What this cannot promise:
 *
 * - A crash between the effect and its remembering leaves an effect that nobody remembers; the next attempt makes
 *   another. Only an effect that is remembered where it is made, such as a row in the same transaction, is safe from that.
 * - With results in memory, a restart forgets everything, and other instances know nothing.
 * - With results in a store that is shared (`createStoredResults`), two instances may still be at one event at the same time: one that was taken for dead,
 *   and the one that got its event.
 * - An attempt that fails half-way, or is ended by its signal, may have had its effect; the next makes it again.
 * - An event is what its sender calls so. A sender of another event under the same `source` and `id` gets the reply to
 *   the first. Plain events all have the edge's `source`; where clients do not trust each other, and choose ids that can
 *   be guessed, this is not for their events.
 * - A handler that never settles is not run again for its event within the window: each attempt ends in its timeout.
 */
import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { withBase64 } from './carried-data.ts';
import type { Handler, HandlerContext, HandlerResult, NewEvent } from './handler.ts';
import { Problem } from './problem.ts';
import { createMemoryResultStore, type ResultStore } from './result-store.ts';

export type OncePerEventOptions = {
  /** For how long an event is handled once, in milliseconds (default 600,000); a shared store has a window of its own. */
  windowMs?: number;
  /** Most results in memory (default 10,000); all together take 64 MiB at the most. */
  maxEvents?: number;
  /** Default: in memory, for this process alone; {@link import('./stored-results.ts').createStoredResults} has one for all. */
  store?: ResultStore;
};

type Run = { result: Promise<HandlerResult>; startedMs: number };

/**
 * Makes `handler` handle each event once per window, as far as the head of this module promises.
 *
 * @example
 * handlers: { OrderPlaced: { handle: oncePerEvent(chargeCard), timeoutMs: 10_000 } }
 */
export function oncePerEvent<Event extends CloudEvent>(
  handler: Handler<Event>,
  { windowMs = 600_000, maxEvents = 10_000, ...options }: OncePerEventOptions = {},
): Handler<Event> {
  const store = options.store ?? createMemoryResultStore({ windowMs, maxEvents });
  const running = new Map<string, Run>();

  return async (event, context) => {
    const key = JSON.stringify([event.source, event.id]);
    for (let run = runOf(key); run; run = runOf(key)) {
      const result = await run.result.catch(() => undefined);
      if (result) return result;
      context.signal.throwIfAborted();
    }
    return await start(key, event, context);
  };

  function runOf(key: string): Run | undefined {
    const run = running.get(key);
    return run && performance.now() - run.startedMs < windowMs ? run : undefined;
  }

  async function start(key: string, event: Event, context: HandlerContext): Promise<HandlerResult> {
    const run: Run = { result: handleOnce(key, event, context), startedMs: performance.now() };
    running.set(key, run);
    try {
      return await run.result;
    } finally {
      if (running.get(key) === run) running.delete(key);
    }
  }

  async function handleOnce(key: string, event: Event, context: HandlerContext): Promise<HandlerResult> {
    const known = await store.get(key);
    if (known) return known;
    // The store may have taken as long as the attempt had, and who is to make the next one may be another instance.
    context.signal.throwIfAborted();
    const result = withIds(resultOf(await handler(event, context)));
    try {
      await store.set(key, result);
    } catch (error) {
      // A failed attempt would be followed by another, and that is by another effect.
      context.log.warn({ err: error }, 'the result is not remembered; another delivery is handled anew');
    }
    return result;
  }
}

/** What was refused has had no effect, and is refused anew. */
function resultOf(handled: Awaited<ReturnType<Handler>>): HandlerResult {
  if (handled instanceof Problem) throw handled;
  return handled ?? {};
}

/** So that what is published again can be told to be the same, and a store has JSON to keep. */
function withIds({ reply, events, ...rest }: HandlerResult): HandlerResult {
  return { ...rest, reply: reply && withId(reply), events: events?.map(withId) };
}

function withId<E extends NewEvent>(event: E): E {
  return { ...withBase64(event), id: event.id ?? randomUUID() };
}
