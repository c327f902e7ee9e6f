/** Instances of public-web as far as their sessions go, in this process, at a store that is a process of its own. */
import assert from 'node:assert/strict';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createCallStore } from '@waybill/common/internal-call/call-store.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createReplyAddresses } from '@waybill/common/internal-call/reply-address.ts';
import type { LookedAt, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { pino } from 'pino';
import { createAskStore } from '../later/store-client.ts';
import { createWatches, type Watches } from '../later/watches.ts';
import { append, keys, pong } from '../public-web.fixture.ts';
import { createSessions, type SessionsOptions } from './create-sessions.ts';
import { createSendToSlot } from './send-to-slot.ts';
import type { EndReason, Entry, Requester, Session, Sessions } from './sessions.ts';

/** One instance. */
export type Instance = {
  name: string;
  sessions: Sessions;
  watches: Watches;
  /** What it has sent, in order; grows. */
  sent: CloudEvent[];
  /** What it has asked of the store, in order; grows. */
  calls: StoreCall[];
  /** What becomes of what it sends from now on; confirmed by default. */
  outcome: (event: CloudEvent) => AppError | undefined;
};

type IsLost = (call: StoreCall) => boolean;
type OnLooked = (found: LookedAt[]) => unknown;

/**
 * Starts the instance `name` at `store`, which does not take what it appends the first `failingAppends` times;
 * `onLooked` holds up, or changes, what it says to a look, and no answer comes to a call of which `isLost` says so, although it was
 * carried out.
 */
export function startInstance(
  name: string,
  store: Service,
  {
    failingAppends = 0,
    onLooked,
    isLost,
    ...options
  }: Partial<SessionsOptions> & { failingAppends?: number; onLooked?: OnLooked; isLost?: IsLost } = {},
): Instance {
  const log = pino({ level: 'silent' });
  let failures = failingAppends;
  const callStore = createCallStore({ urls: [store.baseUrl], keys: keys.call, clock: createClockCheck() });
  const askStore = createAskStore({ store: callStore, log });
  const watches = createWatches();
  const replyAddress = { address: { kind: 'mailbox' }, keys: keys.replyAddress, maxDeadlineMs: 60_000 };
  const empty = { sent: [], calls: [], outcome: () => undefined };
  const instance: Instance = { name, watches, ...empty } as unknown as Instance;
  instance.sessions = createSessions({
    store: {
      async call(call) {
        if (call.path !== '/append' || failures === 0) return callStore.call(call);
        failures -= 1;
        return { kind: 'failed', error: new Error('away'), isWritten: false };
      },
    },
    async askStore(call) {
      instance.calls.push(call);
      const answer = await askStore(call);
      if (isLost?.(call)) throw new AppError('not-accepted', 'no store answers now');
      if (call.call === 'look') await onLooked?.(answer as LookedAt[]);
      return answer as never;
    },
    watches,
    holder: { instance: name, url: `http://127.0.0.1:1/${name}` },
    sendToSlot: createSendToSlot({
      dispatchers: {
        async send(event, _isCancelled, series) {
          // Or the events of a mailbox would have no order, or those of others be held up.
          assert.equal(series, event.correlationid?.split('.', 1)[0]);
          const outcome = instance.outcome(event);
          if (!outcome) instance.sent.push(event);
          return outcome;
        },
      },
      currentReplyAddress: createReplyAddresses(replyAddress).current,
      isPublicType: (type) => type !== 'Internal',
      labelOf: (type) => type,
      account() {},
    }),
    deadlineMs: 60_000,
    maxSessions: 100,
    lookEveryMs: 20,
    ...options,
  });
  return instance;
}

/** A client of an instance. */
export type Client = {
  session: Session;
  /** What it was handed; grows. */
  entries: Entry[];
  /** Why its session ended. */
  ended: Promise<EndReason>;
  /** Sends pings of these ids. */
  send(...ids: string[]): Promise<void>;
  /** Resolves once it has `count` entries, with the ids of the events that they answer. */
  answers(count: number): Promise<(string | undefined)[]>;
};

/** What a client that reads everything at once is told. */
export async function connect(
  { sessions }: Instance,
  client: string,
  options: { after?: string | undefined; apiKeyId?: string; isSlow?: boolean; isGone?: () => boolean } = {},
): Promise<Client> {
  const entries: Entry[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<EndReason>();
  const { isSlow = false, apiKeyId, after, isGone } = options;
  const session = await sessions.attach({
    client,
    apiKeyId,
    after,
    isGone,
    sink: {
      take(entry, written) {
        entries.push(entry);
        if (!isSlow) written();
      },
      end: resolve,
    },
  });
  return {
    session,
    entries,
    ended,
    async send(...ids) {
      for (const id of ids) await session.send(newPing(id), requester);
    },
    answers: (count) =>
      eventually(() => {
        assert.ok(entries.length >= count, `${entries.length} of ${count} entries`);
        return entries.map(({ requestId }) => requestId);
      }),
  };
}

/** Who may send all but `Forbidden`. */
export const requester: Requester = {
  caller: { assertMaySend() {}, countEvent() {} },
  log: { info() {}, debug() {}, error() {} },
};

export function newPing(id: string, type = 'PingRequest'): CloudEvent {
  return { specversion: '1.0', id, source: '/client', type, data: {} };
}

/** Resolves with what an instance sent last under these ids. */
export function sentBy<Ids extends string[]>(
  { sent }: Instance,
  ...ids: Ids
): Promise<{ [Index in keyof Ids]: CloudEvent }> {
  return eventually(() =>
    ids.map((id) => {
      const event = sent.findLast((each) => each.id === id);
      assert.ok(event, `${id} was sent`);
      return event;
    }),
  ) as Promise<{ [Index in keyof Ids]: CloudEvent }>;
}

/** Replies to events in this order, each by itself, as a dispatcher does; pushes to `holders`, all that there may be. */
export async function reply(store: Service, holders: Instance[], events: CloudEvent[]): Promise<void> {
  for (const event of events) await replyTogether(store, holders, [event]);
}

/** The same, all at once. */
export async function replyTogether(
  store: Service,
  holders: Instance[],
  events: CloudEvent[],
): Promise<void> {
  const replies = events.map((event) => pong(event));
  for (const [index, { push }] of (await append(store, replies)).entries()) {
    const holding = holders.find(({ name }) => name === push?.holder.instance);
    if (push) holding?.watches.tell({ instance: holding.name, ...push, event: replies[index] });
  }
}
