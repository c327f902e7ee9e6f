import { AppError } from '@waybill/common/errors.ts';
import type { PostToMailbox } from './post-to-mailbox.ts';
import type { ReadMailbox } from './read-mailbox.ts';
import type { Sessions } from './sessions.ts';

/** What there is where there is a store: mailboxes, of clients that stay, and of those that ask now and then. */
export type Clients = {
  sessions: Sessions;
  readMailbox: ReadMailbox;
  postToMailbox: PostToMailbox;
};

/** @throws AppError `no-store` where there is none. */
export function assertClients(clients: Clients | undefined): Clients {
  if (!clients) throw new AppError('no-store', 'clients have no mailboxes here (setting STORE_URLS)');
  return clients;
}
