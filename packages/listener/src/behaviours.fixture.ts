/**
 * Handlers that misbehave as the tests ask. Their event types are `<service>.<behaviour>`, so that services on one broker
 * do not take each other's events.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { type Handler, type Handlers, type HandlerWithOptions, TerminalError } from './handler.ts';
import { oncePerEvent } from './once-per-event.ts';
import type { ResultStore } from './result-store.ts';

/** The handlers of `service`, each of which leaves a line `started`, and one `finished` if it gets there. */
export function createBehaviours(
  service: string,
  { results }: { results?: ResultStore | undefined } = {},
): Handlers {
  let underWay = 0;
  const comings = createComings();
  const handleOnce = oncePerEvent(haveEffect);
  const handleOnceStored = oncePerEvent(haveEffect, results && { store: results });

  const behaviours: Record<string, Handler | HandlerWithOptions> = {
    Echo: ({ data }, { attempt }) => answer({ data, attempt }),

    /** For events that nobody waits for. */
    Note: () => ({}),

    /** Takes `data.ms`, and answers how many of its kind were under way. */
    async Work({ data }) {
      const { ms } = data as { ms: number };
      underWay += 1;
      const seen = underWay;
      await delay(ms);
      underWay -= 1;
      return answer({ underWay: seen });
    },

    /** Fails the first `data.times` attempts. */
    Stumble({ data }, { attempt }) {
      if (attempt <= (data as { times: number }).times) throw new Error('the secret internals');
      return answer({ attempt });
    },

    /** Throws `data.thrown`, or an error when there is none. */
    Throw: {
      maxAttempts: 2,
      handle({ data }) {
        const { thrown } = (data ?? {}) as { thrown?: unknown };
        if (thrown !== undefined) throw thrown;
        throw Object.assign(new Error('the secret internals'), { code: 'E_SECRET' });
      },
    },

    /** Throws what `unreadable` names by `data.kind`: none of it can simply be logged. */
    ThrowUnreadable: {
      maxAttempts: 2,
      handle({ data }) {
        throw unreadable[(data as { kind: string }).kind]?.();
      },
    },

    /** Takes from its event whatever it can, and then fails. */
    Consume: {
      maxAttempts: 3,
      handle(event, { log }) {
        const { list } = event.data as { list: number[] };
        log.info({ list: [...list] }, 'seen');
        list.pop();
        for (const name of Object.keys(event)) delete event[name];
        throw new Error('the secret internals');
      },
    },

    /** As {@link Consume}, but answers. */
    ConsumeAndAnswer(event) {
      for (const name of Object.keys(event)) delete event[name];
      return answer('consumed');
    },

    /** Is told that all is confirmed, and fails then. */
    ConfirmBadly: () => ({
      ...answer('confirmed'),
      onConfirmed() {
        throw Object.freeze(new Error('too late'));
      },
    }),

    /** As {@link Throw}, with the default number of attempts. */
    Fail() {
      throw new Error('the secret internals');
    },

    Refuse({ data }) {
      const cause = new Error('the card reader at 10.0.0.7:5432 says no');
      throw new TerminalError('card-declined', String(data ?? 'the card was declined'), { cause });
    },

    /** Ends its process, by `data.how`, where `data.kills`; answers where not. */
    async Kill({ data }, { attempt }) {
      const { kills, how, ms = 0, stumbles } = data as Record<string, unknown> & { ms?: number };
      if (ms) await delay(ms);
      if (stumbles && attempt === 1) throw new Error('dies the next time');
      if (kills && how === 'SIGKILL') process.kill(process.pid, 'SIGKILL');
      if (kills) process.exit(7);
      return answer({ survived: true });
    },

    /** Never settles on its own, whatever its signal says. */
    Hang: { timeoutMs: 100, maxAttempts: 2, handle: (_event, { signal, log }) => forever(signal, log) },

    /** As {@link Hang}, for longer than any test. */
    Hold: { timeoutMs: 20 * 60_000, handle: (_event, { signal, log }) => forever(signal, log) },

    /** Settings that are there but undefined. */
    Defaults: { timeoutMs: undefined, maxAttempts: undefined, handle: async () => answer(await delay(20)) },

    /** Returns what `data.returns` says. */
    Return: ({ data }) => (data as { returns: never }).returns,

    /** Answers with lists in lists, `data` deep. */
    Deep: ({ data }) => answer(JSON.parse('['.repeat(Number(data)) + ']'.repeat(Number(data)))),

    Circular() {
      const secret: Record<string, unknown> = {};
      secret.internals = secret;
      return answer(secret);
    },

    BigInt: () => answer(1n),

    /** Answers with `data.bytes` letters. */
    Large: ({ data }) => answer('x'.repeat((data as { bytes: number }).bytes)),

    /** Makes `data.count` events of type `data.type`. */
    Fan({ data }) {
      const { type, count, mandatory } = data as { type: string; count: number; mandatory?: boolean };
      const events = Array.from({ length: count }, (_, index) => ({ type, data: index, mandatory }));
      return { ...answer('fanned'), events };
    },

    /** Makes itself again, for ever. */
    Loop: ({ type }) => ({ events: [{ type }] }),

    /** Goes on as often as `data` says, with the same work. */
    Continue: ({ type, data }) =>
      Number(data) > 0 ? { events: [{ type, data: Number(data) - 1, isContinuation: true }] } : {},

    /** Goes on in 200 ms, once. */
    Later({ id, type, data }, { log }) {
      if (data) return {};
      const next = { type, id: `${id}/1`, data: true, delayMs: 200 } as const;
      return { events: [next], onConfirmed: () => log.info('all is confirmed') };
    },

    /** Has its effect once per event; see {@link haveEffect}. */
    Once(event, context) {
      comings.count(event.id);
      return handleOnce(event, context);
    },

    /** As `Once`, with its results in `results`. */
    OnceStored(event, context) {
      comings.count(event.id);
      return handleOnceStored(event, context);
    },

    /** Ends when its event has come `data.comings` times to this process. */
    async Recur({ id, data }) {
      comings.count(id);
      await comings.reach(id, (data as { comings: number }).comings);
      return answer('come');
    },

    /** Ends when the process is asked to stop, and no sooner. */
    async UntilStopped(_event, { stopping }) {
      if (!stopping.aborted) await once(stopping, 'abort');
      return answer('stopped');
    },
  };

  return Object.fromEntries([
    ...Object.entries(behaviours).map(([name, handler]) => [`${service}.${name}`, logged(handler)] as const),
    [`${service}.HangElsewhere`, { timeoutMs: 100, maxAttempts: 1, handle: () => FOREIGN }] as const,
  ]);

  function answer(data: unknown) {
    return { reply: { type: `${service}.Answer`, data } };
  }

  /** An effect, which leaves a line; it ends when its event has come `data.comings` times. */
  async function haveEffect({ id, data }: Parameters<Handler>[0], { log }: Parameters<Handler>[1]) {
    log.info('effect');
    await comings.reach(id, (data as { comings: number }).comings);
    return answer(randomUUID());
  }
}

const fails = () => {
  throw new Error('a getter');
};

/** What is thrown by those who want to be difficult. */
const unreadable: Record<string, () => unknown> = {
  'a frozen error': () => Object.freeze(new Error('frozen')),
  'an error with a frozen one in it': () => new AggregateError([Object.freeze(new Error('inner'))], 'outer'),
  'an error whose getters throw': () =>
    Object.defineProperties(new Error('x'), {
      ...{ message: { get: fails }, stack: { get: fails }, code: { get: fails } },
      ...{ name: { get: fails }, cause: { get: fails } },
    }),
  'an error with a member whose getter throws': () =>
    Object.defineProperty(new Error('member'), 'detail', { get: fails, enumerable: true }),
  'an error whose code is no text': () => Object.assign(new Error('coded'), { code: { toString: fails } }),
  'a proxy that refuses everything': () =>
    new Proxy(new Error('proxied'), { get: fails, getPrototypeOf: fails, ownKeys: fails, has: fails }),
  'a revoked proxy': () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  },
  'an object whose text throws': () => ({
    toString: fails,
    [Symbol.toPrimitive]: fails,
    get [Symbol.toStringTag]() {
      return fails();
    },
  }),
  'a symbol': () => Symbol('thrown'),
  undefined: () => undefined,
};

/** How often events have come. */
function createComings() {
  const counts = new Map<string, number>();
  const changes = new EventEmitter();
  return {
    count(id: string): void {
      counts.set(id, (counts.get(id) ?? 0) + 1);
      changes.emit('change');
    },
    async reach(id: string, count: number): Promise<void> {
      while ((counts.get(id) ?? 0) < count) await once(changes, 'change');
    },
  };
}

/** Logs `aborted` with the reason when `signal` does; never settles. */
function forever(signal: AbortSignal, log: { info(fields: object, message: string): void }): Promise<never> {
  signal.addEventListener('abort', () => log.info({ reason: signal.reason.code }, 'aborted'));
  return new Promise(() => {});
}

/** A promise of another library, whose `then` gives one of its own; it never settles. */
const FOREIGN = {} as Promise<never>;
Reflect.set(FOREIGN, 'then', () => FOREIGN);

/** Each attempt leaves a line `started`, with its number and the event's id, and one `finished` if it gets there. */
function logged(handler: Handler | HandlerWithOptions): HandlerWithOptions {
  const options = typeof handler === 'function' ? { handle: handler } : handler;
  return {
    ...options,
    async handle(event, context) {
      context.log.info({ attempt: context.attempt }, 'started');
      const result = await options.handle(event, context);
      context.log.info('finished');
      return result;
    },
  };
}
