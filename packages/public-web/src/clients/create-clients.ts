import type { Clients } from './clients.ts';
import { createSessions, type SessionsOptions } from './create-sessions.ts';
import { createPostToMailbox } from './post-to-mailbox.ts';
import { createReadMailbox } from './read-mailbox.ts';

/** Creates {@link Clients} on a store. When `stopping` aborts nobody waits for a mailbox here any more. */
export function createClients({
  stopping,
  ...options
}: SessionsOptions & { stopping: AbortSignal }): Clients {
  const { askStore, maxSessions: maxWaiting } = options;
  return {
    sessions: createSessions(options),
    readMailbox: createReadMailbox({ askStore, maxWaiting, stopping }),
    postToMailbox: createPostToMailbox(options),
  };
}
