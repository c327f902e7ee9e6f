import { instanceId } from '@waybill/common/instance.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { createReplyAddresses } from '@waybill/common/internal-call/reply-address.ts';
import type { Logger } from 'pino';
import { type AcceptEventOptions, createAcceptEvent } from '../core/accept-event.ts';
import { createFetchAnswer } from './fetch-answer.ts';
import type { Later } from './later.ts';
import { createRequestLocations } from './request-locations.ts';
import { createAskStore } from './store-client.ts';
import type { Watches } from './watches.ts';

/** Creates {@link Later} on a store; `internalUrl` is where this instance is told of what comes into it. */
export function createLater({
  store,
  watches,
  internalUrl,
  keys,
  maxWaiting,
  log,
  ...accepting
}: {
  store: CallStore;
  watches: Watches;
  internalUrl: string;
  keys: { location: Key[]; replyAddress: Key[] };
  /** Most that wait for an answer at once. */
  maxWaiting: number;
  log: Logger;
} & Omit<AcceptEventOptions, 'currentReplyAddress'>): Later {
  const mailboxes = createReplyAddresses({
    address: { kind: 'mailbox' },
    keys: keys.replyAddress,
    maxDeadlineMs: accepting.acceptedDeadlineMs,
  });
  return {
    locations: createRequestLocations({ keys: keys.location }),
    answers: createFetchAnswer({
      askStore: createAskStore({ store, log }),
      watches,
      holder: { instance: instanceId, url: `${internalUrl}/push` },
      maxWaiting,
    }),
    acceptEvent: createAcceptEvent({ ...accepting, currentReplyAddress: mailboxes.current }),
  };
}
