import type { Problem } from '../problem.ts';

/**
 * What a dispatcher's `POST /events` answers with 200. Ids are correlation ids; an event that is not named is
 * **confirmed by the broker**.
 */
export type IntakeAnswer = {
  /** No queue takes their type; nothing is enqueued. */
  unroutable: string[];
  /** Provably not enqueued, each with the reason. */
  rejected: { id: string; problem: Problem }[];
  /** Not confirmed in time: they may be enqueued. */
  unknown: string[];
};
