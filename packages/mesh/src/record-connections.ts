/**
 * Writes what becomes of connections to their store, one after the other, and again where the store did not take it: an end that
 * was lost would have a peer connected again after a restart, though it was ended for good.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { backOffMs } from '@waybill/common/back-off.ts';
import { type ErrorCode, toAppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import type { Connection, Connections } from './connections.ts';
import type { MeshLog } from './neighbour.ts';

/** How long a store is waited for. A connection is good for calls, whether or not it is on record. */
const SAVE_MS = 500;
/** Between two tries while the store is away. */
const AGAIN = { baseMs: 250, capMs: 4_000 };
/** Connections that wait for a store; with more the oldest is not saved. */
const MAX_WAITING = 1_000;
/** What is the record's own fault, and no better the next time. */
const REFUSED: ReadonlySet<ErrorCode> = new Set(['invalid-request', 'too-large']);

export type Recorder = {
  /** Has a connection saved as it now is. Resolves once it is, or the store has failed or takes long. Never rejects. */
  record(connection: Connection): Promise<void>;
  /** Tries once more to save what is not, and then no longer. */
  close(): Promise<void>;
};

/** Creates the {@link Recorder} of one site. */
export function createRecorder({
  store,
  log,
}: {
  store: Pick<Connections, 'save'>;
  log: Pick<MeshLog, 'warn'>;
}): Recorder {
  /** What is to be saved, the oldest connection first, and who waits for it. */
  const waiting = new Map<string, { record: Connection; done: PromiseWithResolvers<void> }>();
  const closing = new AbortController();
  let failures = 0;
  let writing: Promise<void> | undefined;

  async function write(): Promise<void> {
    for (let next = firstOf(waiting); next; next = firstOf(waiting)) {
      const { record } = next;
      const isClosing = closing.signal.aborted;
      const code = await trySave(record);
      const isDone = code === undefined || REFUSED.has(code);
      // It may have changed while it was being saved.
      if (isDone && waiting.get(record.connectionId)?.record === record) drop(record.connectionId);
      if (isDone) continue;
      for (const { done } of waiting.values()) done.resolve();
      if (isClosing) return;
      const ms = backOffMs(failures, AGAIN);
      await delay(ms, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  }

  /** What the store has against it; undefined when it is saved. */
  async function trySave(record: Connection): Promise<ErrorCode | undefined> {
    try {
      await store.save(record);
      failures = 0;
      return undefined;
    } catch (err) {
      failures += 1;
      if (failures === 1) log.warn({ err }, 'a connection of the mesh was not saved');
      return toAppError(err).code;
    }
  }

  function drop(connectionId: string): void {
    waiting.get(connectionId)?.done.resolve();
    waiting.delete(connectionId);
  }

  return {
    async record(connection) {
      const { connectionId } = connection;
      const done = waiting.get(connectionId)?.done ?? Promise.withResolvers<void>();
      waiting.set(connectionId, { record: { ...connection }, done });
      if (waiting.size > MAX_WAITING) drop(firstOf(waiting)?.record.connectionId ?? '');
      writing ??= write().finally(() => {
        writing = undefined;
      });
      // A store that is away is not waited for each time.
      if (failures === 0) await within(SAVE_MS, done.promise);
    },
    async close() {
      closing.abort();
      if (writing) await within(SAVE_MS, writing);
    },
  };
}

function firstOf<T>(map: ReadonlyMap<string, T>): T | undefined {
  return map.values().next().value;
}
