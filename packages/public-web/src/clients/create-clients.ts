import type { Clients } from './clients.ts';
import { createSessions, type SessionsOptions } from './create-sessions.ts';
import { createPostToMailbox } from './post-to-mailbox.ts';
import { createReadMailbox } from './read-mailbox.ts';

/** Creates {@link Clients} on a store. */
export function createClients(options: SessionsOptions): Clients {
  return {
    sessions: createSessions(options),
    readMailbox: createReadMailbox({ askStore: options.askStore, maxWaiting: options.maxSessions }),
    postToMailbox: createPostToMailbox(options),
  };
}
