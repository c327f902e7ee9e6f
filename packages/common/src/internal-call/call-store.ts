/** Calls of the stores at a list of URLs, which all keep the same: SQLite has one, PostgreSQL any number. */
import { Agent } from 'undici';
import { createCallTier, type TierAnswer, type TierCall } from './call-tier.ts';
import type { ClockCheck } from './clock-check.ts';
import type { Key } from './internal-keys.ts';

/** Connections to each store. A call of a dispatcher has a lane of its own, those of public-web are short. */
const MAX_CONNECTIONS = 16;
/** For a small call: a store waits for its disk, and for the transaction under way. */
const CALL_TIMEOUT_MS = 3_000;
const CONNECT_TIMEOUT_MS = 1_000;

export type CallStore = {
  /**
   * Makes a call at the store that answered last, and at each of the others until one does. A call may be made twice by
   * that, which does no harm. Never rejects; what it resolves with is the word of the last one.
   */
  call<Answer>(
    call: Pick<TierCall<Answer>, 'path' | 'body' | 'parse' | 'contentType'>,
  ): Promise<TierAnswer<Answer>>;
  close(): Promise<void>;
};

/** Creates {@link CallStore}. */
export function createCallStore({
  urls,
  keys,
  clock,
}: {
  /** One at least. */
  urls: readonly string[];
  keys: Key[];
  clock: ClockCheck;
}): CallStore {
  const callTier = createCallTier({ keys, clock });
  const connections = new Agent({
    connections: MAX_CONNECTIONS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  let preferred = 0;

  return {
    async call(call) {
      const first = preferred;
      for (let tried = 0; ; tried += 1) {
        const turn = (first + tried) % urls.length;
        const origin = urls[turn] as string;
        const answer = await callTier({ ...call, connections, origin, timeoutMs: CALL_TIMEOUT_MS });
        if (!isAway(answer)) preferred = turn;
        if (!isAway(answer) || tried + 1 >= urls.length) return answer;
      }
    },
    close: () => connections.close(),
  };
}

/** Whether another store may do better. */
function isAway(answer: TierAnswer<unknown>): boolean {
  return answer.kind === 'failed' || (answer.kind === 'refused' && answer.status >= 500);
}
