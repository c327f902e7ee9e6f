/**
 * How much memory the replies take that came and are not yet read by their clients.
 *
 * A request is small and its reply may be large, a batch has 256 of them, and a client may read slowly: what is parked
 * says nothing of this.
 */

/** Most bytes of the replies to one request. Only a batch can have more: a single reply is an event, and those are smaller. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** From here on no replies are taken from dispatchers, which put them aside in the broker. */
const MAX_HELD_BYTES = 128 * 1024 * 1024;

/** The answer to one request, which grows with the replies to its events. */
export type HeldAnswer = {
  /** Counts a reply in; false when the answer would be too large with it: then it is to be dropped. */
  hold(bytes: number): boolean;
  /** Counts its replies out, and later ones no more: it has been sent, or given up. */
  release(): void;
};

export type HeldReplies = {
  /** Begins an answer, which is held until it is released. */
  answer(): HeldAnswer;
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
    answer() {
      let answerBytes = 0;
      let isReleased = false;
      return {
        hold(bytes) {
          if (answerBytes > 0 && answerBytes + bytes > maxAnswerBytes) return false;
          if (isReleased) return true;
          answerBytes += bytes;
          heldBytes += bytes;
          return true;
        },
        release() {
          if (!isReleased) heldBytes -= answerBytes;
          isReleased = true;
        },
      };
    },
    hasRoom: () => heldBytes < maxHeldBytes,
    bytes: () => heldBytes,
  };
}
