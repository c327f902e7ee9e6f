/**
 * A connection to a broker in this process, which comes back by itself. Whatever is sent by it takes a turn of the event
 * loop, either way, and arrives in order; no call of one side runs within a call of the other.
 */
import { setMaxListeners } from 'node:events';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import type { Line } from './line.ts';

/** How long until it connects again. */
const RECONNECT_MS = 10;
/** How long the broker may take to answer. */
const CALL_TIMEOUT_MS = 2_000;

/** One life of a connection. */
export type Session = {
  /** Aborts when it is over. */
  signal: AbortSignal;
  /** Has `act` run at the broker, after what was sent before. */
  send(act: () => void): void;
  /** Has `act` run in the process, after what was answered before. */
  answer(act: () => void): void;
  end(): void;
};

export type MemoryConnection = {
  session(): Session | undefined;
  /**
   * Has `act` run at the broker, and resolves when the answer is here.
   *
   * @throws AppError `broker-unavailable` without a connection, or without an answer within 2 s.
   */
  call(act: () => void): Promise<void>;
  /** Ends it for good. */
  close(): void;
};

/** Starts connecting, and returns at once. */
export function createMemoryConnection({
  line,
  setup,
  onOpen,
  onEnd,
}: {
  line: Line;
  /** Runs at the broker before anything else does; what it throws ends the attempt. */
  setup(): void;
  onOpen(session: Session): void;
  /** The broker lets go of what the session held. */
  onEnd?(session: Session): void;
}): MemoryConnection {
  let current: Session | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;

  function open(): void {
    if (isClosed || current || !line.isOpen(open)) return;
    try {
      setup();
    } catch {
      openLater();
      return;
    }
    current = createSession();
    onOpen(current);
  }

  function openLater(): void {
    if (!isClosed) timer = setTimeout(open, RECONNECT_MS);
  }

  function createSession(): Session {
    const ended = new AbortController();
    // One listener per event in work; the default warns of a leak at 10.
    setMaxListeners(0, ended.signal);
    const later = (isCarried: () => boolean, act: () => void) => {
      setImmediate(() => {
        if (isCarried() && !ended.signal.aborted) act();
      });
    };
    const session: Session = {
      signal: ended.signal,
      send: (act) => later(line.carriesRequests, act),
      answer: (act) => later(line.carriesAnswers, act),
      end() {
        if (ended.signal.aborted) return;
        leave();
        current = undefined;
        ended.abort();
        onEnd?.(session);
        openLater();
      },
    };
    const leave = line.join(session);
    return session;
  }

  setImmediate(open);
  return {
    session: () => current,
    async call(act) {
      const session = current;
      const answered = new Promise<void>((resolve) =>
        session?.send(() => {
          act();
          session.answer(resolve);
        }),
      );
      if (!session || !(await within(CALL_TIMEOUT_MS, answered)))
        throw new AppError('broker-unavailable', 'the broker did not answer');
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      current?.end();
    },
  };
}
