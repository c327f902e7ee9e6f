import type { AcceptEvent } from '../core/accept-event.ts';
import type { FetchAnswer } from './fetch-answer.ts';
import type { RequestLocations } from './request-locations.ts';

/** What there is where there is a store: events that are accepted now, and answers that are fetched later. */
export type Later = {
  locations: RequestLocations;
  answers: FetchAnswer;
  acceptEvent: AcceptEvent;
};
