import type { AskStore } from '../later/store-client.ts';

/** Acknowledgements of all clients are written together, this long after the first of them; or this long after a failure. */
const WRITE_AFTER_MS = 100;
const AGAIN_AFTER_MS = 1_000;
/** Of one call. */
const MAX_TOKENS = 500;

/** Writes down how far clients have come. */
export type Acks = {
  /** All up to the token has arrived; written soon, once for many tokens of one mailbox. */
  note(mailbox: string, after: string): void;
  /** Writes what is not written yet. Never rejects. */
  flush(): Promise<void>;
};

/** Creates {@link Acks}. */
export function createAcks({ askStore }: { askStore: AskStore }): Acks {
  const noted = new Map<string, string>();
  let timer: NodeJS.Timeout | undefined;

  function writeAfter(ms: number): void {
    if (timer) return;
    timer = setTimeout(() => {
      timer = undefined;
      void flush();
    }, ms).unref();
  }

  async function flush(): Promise<void> {
    while (noted.size > 0) {
      const tokens = [...noted].slice(0, MAX_TOKENS).map(([mailbox, after]) => ({ mailbox, after }));
      for (const { mailbox } of tokens) noted.delete(mailbox);
      try {
        await askStore({ call: 'acknowledge', tokens });
      } catch {
        // What was noted meanwhile is further on.
        for (const { mailbox, after } of tokens) if (!noted.has(mailbox)) noted.set(mailbox, after);
        return writeAfter(AGAIN_AFTER_MS);
      }
    }
  }

  return {
    note(mailbox, after) {
      noted.set(mailbox, after);
      writeAfter(WRITE_AFTER_MS);
    },
    flush,
  };
}
