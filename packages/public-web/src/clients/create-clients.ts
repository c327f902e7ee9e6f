import type { Clients } from './clients.ts';
import { createSessions, type SessionsOptions } from './create-sessions.ts';
import { createDetach } from './detach.ts';
import { createPostToMailbox } from './post-to-mailbox.ts';
import { createReadMailbox } from './read-mailbox.ts';

/** Creates {@link Clients} on a store. When `stopping` aborts nobody waits for a mailbox here any more. */
export function createClients({
  stopping,
  ...options
}: SessionsOptions & { stopping: AbortSignal }): Clients {
  const { askStore, deadlineMs, maxSessions: maxWaiting } = options;
  const detach = createDetach({ askStore, deadlineMs, drained: stopping });
  return {
    sessions: createSessions(options),
    readMailbox: createReadMailbox({ askStore, maxWaiting, stopping }),
    postToMailbox: createPostToMailbox({ ...options, detach }),
  };
}
