/**
 * Where the answer to a request can be fetched: `/requests/<place>`. The place says all that whichever instance is asked for
 * it needs to know, so that nothing is written anywhere when it is given out; it is signed, and has 128 random bits, so only
 * whoever was told it can ask.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { readClaims, signClaims } from '@waybill/common/internal-call/signed-claims.ts';

/** How the answer to a single event is wrapped. */
export type AnswerMode = 'plain' | 'binary' | 'structured';

/** A request whose answer can be fetched. */
export type RequestPlace = {
  /** The correlation id under which its event went out. */
  id: string;
  /** When its event expires, in milliseconds of the epoch: after that no answer comes any more. */
  dueMs: number;
  /** How it was asked. */
  mode: AnswerMode;
  /** The id of its event. */
  eventId: string;
  /** The id of the API key that it came with; undefined where none is needed. */
  apiKeyId: string | undefined;
};

export const REQUESTS_PATH = '/requests/';

/** As long as a store keeps an answer, by default. */
const KEPT_MS = 24 * 60 * 60 * 1000;

export type RequestLocations = {
  /** The path at which the answer to a request is fetched. */
  locationOf(place: RequestPlace): string;
  /**
   * Reads the last part of such a path, for a caller with this API key.
   *
   * @throws AppError `not-found` for one that was not given to it; `gone` when the answer is not kept any more.
   */
  read(part: string, apiKeyId: string | undefined): RequestPlace;
};

/** Creates {@link RequestLocations}, signed with the first of `keys`. */
export function createRequestLocations({
  keys,
  nowMs = Date.now,
}: {
  keys: readonly Key[];
  nowMs?: () => number;
}): RequestLocations {
  return {
    locationOf: (place) => REQUESTS_PATH + signClaims(place, keys),
    read(part, apiKeyId) {
      const place = readClaims(part, keys) as RequestPlace | undefined;
      if (!place || place.apiKeyId !== apiKeyId) throw new AppError('not-found', 'there is no such request');
      if (place.dueMs + KEPT_MS < nowMs()) throw new AppError('gone', 'answers are kept for a day');
      return place;
    },
  };
}
