/**
 * How much memory the replies take that came and are not yet read by their clients.
 *
 * A request is small and its reply may be large, a batch has 256 of them, and a client may read slowly: what is parked
 * says nothing of this.
 */
import type { ServerResponse } from 'node:http';

/** Most bytes of the replies to one request. Only a batch can have more: a single reply is an event, and those are smaller. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** From here on no replies are taken from dispatchers, which put them aside in the broker. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;

/** The answer to one request, which grows with the replies to its events. */
export type HeldAnswer = {
  /** Counts a reply in; false when the answer would be too large with it: then it is to be dropped. */
  hold(bytes: number): boolean;
};

export type HeldReplies = {
  /** Begins an answer, which is held until `raw` is closed: sent, or given up. */
  answer(raw: ServerResponse): HeldAnswer;
  /** Whether more replies may be taken. */
  hasRoom(): boolean;
  bytes(): number;
};

/** Creates the {@link HeldReplies} of one instance. */
export function createHeldReplies({
  maxAnswerBytes = MAX_ANSWER_BYTES,
  maxHeldBytes = MAX_HELD_BYTES,
}: {
  maxAnswerBytes?: number;
  maxHeldBytes?: number;
} = {}): HeldReplies {
  let heldBytes = 0;
  return {
    answer(raw) {
      let answerBytes = 0;
      let isClosed = raw.closed;
      raw.once('close', () => {
        isClosed = true;
        heldBytes -= answerBytes;
      });
      return {
        hold(bytes) {
          if (answerBytes > 0 && answerBytes + bytes > maxAnswerBytes) return false;
          if (isClosed) return true;
          answerBytes += bytes;
          heldBytes += bytes;
          return true;
        },
      };
    },
    hasRoom: () => heldBytes < maxHeldBytes,
    bytes: () => heldBytes,
  };
}
