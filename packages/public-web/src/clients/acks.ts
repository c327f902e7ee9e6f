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
  let writing: Promise<void> | undefined;

  function writeAfter(ms: number): void {
    if (timer) return;
    timer = setTimeout(() => {
      timer = undefined;
      void flush();
    }, ms).unref();
  }

  async function write(): Promise<void> {
    while (noted.size > 0) {
      const tokens = [...noted].slice(0, MAX_TOKENS).map(([mailbox, after]) => ({ mailbox, after }));
      for (const { mailbox } of tokens) noted.delete(mailbox);
      try {
        await askStore({ call: 'acknowledge', tokens });
      } catch {
        for (const { mailbox, after } of tokens) {
          const meanwhile = noted.get(mailbox);
          if (meanwhile === undefined || isBehind(meanwhile, after)) noted.set(mailbox, after);
        }
        return writeAfter(AGAIN_AFTER_MS);
      }
    }
  }

  /** One that is under way writes what is noted meanwhile, too. */
  async function flush(): Promise<void> {
    writing ??= write().finally(() => {
      writing = undefined;
    });
    await writing;
  }

  return {
    note(mailbox, after) {
      if (!isBehind(after, noted.get(mailbox) ?? '')) noted.set(mailbox, after);
      writeAfter(WRITE_AFTER_MS);
    },
    flush,
  };
}

/** Whether a token is behind another one of its epoch. */
function isBehind(token: string, other: string): boolean {
  const [epoch, offset] = token.split('.');
  const [otherEpoch, otherOffset] = other.split('.');
  return epoch === otherEpoch && Number(offset) < Number(otherOffset);
}
