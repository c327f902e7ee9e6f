import { randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { Attached, Holder } from '@waybill/common/internal-call/store-calls.ts';
import { DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import {
  attaches,
  mailboxAge,
  mailboxDepth,
  sessions as sessionsGauge,
} from '@waybill/common/telemetry/metrics.ts';
import { within } from '@waybill/common/within.ts';
import type { Watches } from '../later/watches.ts';
import { createAcks } from './acks.ts';
import { createAttach } from './attach.ts';
import { assertClientId } from './client-id.ts';
import { createSession, type HeldSession, type SessionContext } from './create-session.ts';
import { createDetach, isNotAccepted } from './detach.ts';
import { createLooks } from './looks.ts';
import { createAppendProblem } from './problems.ts';
import type { Sessions } from './sessions.ts';
import { createUnwritten } from './unwritten.ts';

export type SessionsOptions = Omit<
  SessionContext,
  'appendProblem' | 'detach' | 'acks' | 'unwritten' | 'drained'
> & {
  store: Pick<CallStore, 'call'>;
  watches: Pick<Watches, 'watch'>;
  /** This instance. */
  holder: Holder;
  /** Most at once. */
  maxSessions: number;
  /** As of {@link createLooks}. */
  lookEveryMs?: number;
};

/** Creates the {@link Sessions} of one instance. */
export function createSessions({
  store,
  watches,
  holder,
  maxSessions,
  lookEveryMs,
  ...options
}: SessionsOptions): Sessions {
  const { askStore, deadlineMs } = options;
  const acks = createAcks({ askStore });
  const attach = createAttach({ askStore, holder, deadlineMs, maxWaiting: maxSessions });
  const drained = new AbortController();
  const detach = createDetach({ askStore, deadlineMs, drained: drained.signal });
  const context = {
    ...options,
    drained: drained.signal,
    acks,
    detach,
    appendProblem: createAppendProblem({ store }),
    unwritten: createUnwritten(),
  };
  const sessions = new Map<string, HeldSession>();
  const underWay = new Set<Promise<unknown>>();
  let attaching = 0;
  let isStopping = false;
  const looks = createLooks({
    askStore,
    instance: holder.instance,
    sessions: () => sessions.values(),
    everyMs: lookEveryMs,
  });

  sessionsGauge.addCallback((result) => result.observe(sessions.size));
  mailboxDepth.addCallback((result) =>
    result.observe([...sessions.values()].reduce((sum, { depth }) => sum + depth(), 0)),
  );

  mailboxAge.addCallback((result) => {
    const oldestMs = [...sessions.values()].reduce(
      (oldest, session) => Math.min(oldest, session.oldestMs()),
      Number.POSITIVE_INFINITY,
    );
    result.observe(Math.max(0, Date.now() - oldestMs) / 1000);
  });

  /** Of promises that never reject. */
  function track(promise: Promise<unknown>): void {
    underWay.add(promise);
    void promise.finally(() => underWay.delete(promise));
  }

  /** Of two for one mailbox, the one that the store attached last stays. */
  function hold(session: HeldSession): void {
    const { mailbox, fence } = session;
    const other = sessions.get(mailbox);
    const isLate = other !== undefined && other.fence > fence;
    if (!isLate) sessions.set(mailbox, session);
    (isLate ? session : other)?.end('taken-over');
  }

  function begin(
    attached: Attached,
    options: Pick<Parameters<Sessions['attach']>[0], 'after' | 'sink' | 'room'>,
  ) {
    const { mailbox, gap } = attached;
    attaches.add(1, { outcome: gap ? 'gap' : options.after === undefined ? 'new' : 'recovered' });
    const stopWatching = watches.watch(mailbox, (push) => session.pushed(push));
    const session: HeldSession = createSession({
      ...context,
      attached,
      isResumed: options.after !== undefined,
      sink: options.sink,
      room: options.room,
      track,
      onOver() {
        stopWatching();
        if (sessions.get(mailbox) === session) sessions.delete(mailbox);
      },
    });
    hold(session);
    // Not before whoever attached knows of it.
    setImmediate(session.start);
    return session;
  }

  async function settled(): Promise<void> {
    while (underWay.size > 0) await Promise.all(underWay);
  }

  return {
    async attach({ client, apiKeyId: owner = '', after, sink, room, isGone }) {
      assertClientId(client);
      if (isStopping) throw stopping();
      if (sessions.size + attaching >= maxSessions)
        throw new AppError('not-accepted', 'too many clients are connected');
      attaching += 1;
      const call = { id: randomUUID(), owner, client };
      let isAsked = false;
      try {
        const onAsked = () => {
          isAsked = true;
        };
        const attached = await attach({ ...call, after }, { onAsked, isGone });
        if (isStopping) throw stopping();
        return begin(attached, { after, sink, room });
      } catch (error) {
        // Or what it has got without anybody's knowledge would hold back what the client gets next.
        if (isAsked && isNotAccepted(error)) track(detach(call));
        throw error;
      } finally {
        attaching -= 1;
      }
    },
    size: () => sessions.size,
    async drain() {
      isStopping = true;
      looks.close();
      for (const session of sessions.values()) session.end('stopping');
      track(acks.flush());
      // What was acknowledged meanwhile is written as well.
      await within(
        DRAIN_MS,
        settled().then(() => acks.flush()),
      );
      drained.abort();
    },
  };
}

function stopping(): AppError {
  return new AppError('not-accepted', 'this instance is stopping');
}
