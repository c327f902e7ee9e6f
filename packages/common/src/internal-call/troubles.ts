/**
 * What a public-web asks a dispatcher now and then, and not once per event, because only that one can see it: whether its
 * reply address can be called, and whether anybody takes what its clients send. `POST /troubles`, JSON both ways.
 */

/** Where it is asked. */
export const TROUBLES_PATH = '/troubles';

/**
 * The type of a reply that nobody waits for: it is delivered to show that replies arrive, and that whom they reach is
 * the one they are for.
 */
export const CALLBACK_CHECK_TYPE = 'waybill.CallbackCheck';

/** More of either is not asked for. */
export const MAX_ASKED = 100;

export type TroublesQuestion = {
  /** The reply address of the caller. */
  replyto: string;
  /** Types that clients may send. */
  types: string[];
  /** Services that answer one of them, as far as the caller knows. */
  services: string[];
  /** Whether the caller does not know of each type who answers it. */
  wantsAnswerers: boolean;
};

export type TroublesAnswer = {
  /** Why the reply address could not be called; absent if it was. */
  callback?: string | undefined;
  /** Of the types, those that no service has ever declared to take. */
  undeclared: string[];
  /** Of the services, those whose queue nobody consumes. */
  idle: string[];
  /** Of types that services have declared, those that answer them; absent where nobody wants to know, or knows. */
  answerers?: Record<string, string[]> | undefined;
};
