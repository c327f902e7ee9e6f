import { AppError } from '@waybill/common/errors.ts';
import { placeOf } from '@waybill/common/internal-call/reply-place.ts';
import type { Page } from '@waybill/common/internal-call/store-calls.ts';
import { within } from '@waybill/common/within.ts';
import type { WaitingClient } from '../core/ask.ts';
import { onOver } from '../core/on-over.ts';
import type { AskStore } from '../later/store-client.ts';
import { assertClientId } from './client-id.ts';
import { toEntry, toGap } from './entry.ts';
import type { Entry } from './sessions.ts';

/** Between two looks of one that waits: 50, 100, 200, 400, 800, 1,000, 1,000 … ms. */
const LOOK_AGAIN_MS = 50;
const MAX_LOOK_AGAIN_MS = 1_000;

/**
 * Reads a mailbox without a session: what comes after the token `after`, as much as fits a page. The token acknowledges what is
 * up to it; nobody's session ends. While there is nothing, it is waited for, at most `waitMs`, until the client has gone, or this
 * instance stops.
 *
 * @throws AppError `invalid-request` for what is no client id or no token, `not-found` for a client without a mailbox,
 *   `not-accepted` when no store answers, or too many wait.
 */
export type ReadMailbox = (options: {
  client: string;
  apiKeyId: string | undefined;
  after?: string | undefined;
  waitMs: number;
  onGone: WaitingClient['onGone'];
}) => Promise<Entry[]>;

/** Creates {@link ReadMailbox}; at most `maxWaiting` wait at once. */
export function createReadMailbox({
  askStore,
  maxWaiting,
  stopping,
}: {
  askStore: AskStore;
  maxWaiting: number;
  stopping: AbortSignal;
}): ReadMailbox {
  let waiting = 0;

  return async ({ client, apiKeyId: owner = '', after, waitMs, onGone }) => {
    assertClientId(client);
    const read = async () => toEntries(await askStore<Page>({ call: 'read', owner, client, after }));
    const first = await read();
    if (first.length > 0 || waitMs === 0) return first;
    if (waiting >= maxWaiting) throw new AppError('not-accepted', 'too many wait for their mailboxes');
    waiting += 1;
    try {
      return await readUntil(read, { untilMs: performance.now() + waitMs, onGone, stopping });
    } finally {
      waiting -= 1;
    }
  };
}

async function readUntil(
  read: () => Promise<Entry[]>,
  { untilMs, onGone, stopping }: { untilMs: number; onGone: WaitingClient['onGone']; stopping: AbortSignal },
): Promise<Entry[]> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const release = onOver(onGone, stopping, resolve);
  try {
    for (let againMs = LOOK_AGAIN_MS; !stopping.aborted; againMs = Math.min(2 * againMs, MAX_LOOK_AGAIN_MS)) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0 || (await within(Math.min(againMs, leftMs), over))) break;
      const entries = await read();
      if (entries.length > 0) return entries;
    }
    return [];
  } finally {
    release();
  }
}

function toEntries({ epoch, gap, entries }: Page): Entry[] {
  const found = entries.map(({ offset, event }) => {
    const place = placeOf(event.correlationid);
    return toEntry(`${epoch}.${offset}`, event, place?.kind === 'slot' ? place.eventId : undefined);
  });
  return gap ? [toGap(gap), ...found] : found;
}
