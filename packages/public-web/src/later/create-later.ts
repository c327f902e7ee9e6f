import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import type { Holder } from '@waybill/common/internal-call/store-calls.ts';
import { type AcceptEventOptions, createAcceptEvent } from '../core/accept-event.ts';
import { createFetchAnswer } from './fetch-answer.ts';
import type { Later } from './later.ts';
import { createRequestLocations } from './request-locations.ts';
import type { AskStore } from './store-client.ts';
import type { Watches } from './watches.ts';

/** Creates {@link Later} on a store; `holder` is where this instance is told of what comes into it. */
export function createLater({
  askStore,
  watches,
  holder,
  keys,
  maxWaiting,
  stopping,
  ...accepting
}: {
  askStore: AskStore;
  watches: Watches;
  holder: Holder;
  keys: Key[];
  /** Most that wait for an answer at once. */
  maxWaiting: number;
  /** Aborts when this instance stops: nobody waits here any more. */
  stopping: AbortSignal;
} & AcceptEventOptions): Later {
  return {
    locations: createRequestLocations({ keys }),
    answers: createFetchAnswer({ askStore, watches, holder, maxWaiting, stopping }),
    acceptEvent: createAcceptEvent(accepting),
  };
}
