/**
 * Progress: what a listener tells of an event whose client waits still, namely that an attempt has failed and another will
 * follow. It goes the way of a reply, settles nothing, and may be lost: a client that waits in vain is told the last of it.
 */

/** The type of the event that tells it. */
export const PROGRESS_TYPE = 'waybill.Progress';

/** Its data. */
export type Progress = {
  /** The one that failed, from 1 up. */
  attempt: number;
  maxAttempts: number;
  /** Of the error, as in a `handler-failed` problem. */
  code: string;
};

/** The claim by which a reply address says so; a public-web of before would take progress for the reply. */
export const TAKES_PROGRESS = { progress: true } as const;

/**
 * Whether whoever waits at this reply address takes progress. Read without the key, which a listener does not have: nothing
 * is decided by it but that it is told.
 */
export function takesProgress(replyto: string | undefined): boolean {
  const [, claims = ''] = replyto?.split('.') ?? [];
  try {
    return JSON.parse(Buffer.from(claims, 'base64url').toString()).progress === true;
  } catch {
    return false;
  }
}
