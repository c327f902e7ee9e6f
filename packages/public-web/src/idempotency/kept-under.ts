/** Under what the key of a caller is kept, and whose that is. */

const OWNER = /^\[("(?:[^"\\]|\\.)*"),/;

/**
 * Under what the key of a caller is kept, which is no other's; without API keys all callers are one. Both may hold any
 * characters, as subjects of tokens do, so that one written behind the other could be another pair.
 */
export function keptUnder(apiKeyId: string | undefined, key: string): string {
  return JSON.stringify([apiKeyId ?? null, key]);
}

/** The API key that {@link keptUnder} was given, as mailboxes have it: '' where none is needed. */
export function ownerOf(kept: string): string {
  const [, owner = '""'] = OWNER.exec(kept) ?? [];
  return JSON.parse(owner);
}
