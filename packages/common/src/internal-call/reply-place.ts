/**
 * Where in a store a reply belongs, by its correlation id, which listeners copy unread:
 * - 22 characters (128 random bits) alone: the one answer to the request that went out under it.
 * - `<mailbox>.<fence>.<n>[.<event id>]`: a slot in the mailbox of a client. The id is that of the event, percent-encoded,
 *   for the client to know what was answered, whichever instance it is connected to by then.
 */

export type ReplyPlace =
  | { kind: 'answer'; id: string }
  | { kind: 'slot'; mailbox: string; fence: number; n: number; eventId?: string };

const KEY = '[A-Za-z0-9_-]{22}';
/** Of an id of 128 UTF-16 units, each of which may be three bytes, and each byte `%XX`. */
const MAX_ENCODED_ID_LENGTH = 128 * 9;
const PLACE = new RegExp(
  `^(${KEY})(?:\\.(\\d{1,12})\\.(\\d{1,12})(?:\\.(.{1,${MAX_ENCODED_ID_LENGTH}}))?)?$`,
);

/** Reads a correlation id; undefined when it is of neither kind. */
export function placeOf(correlationId: string | undefined): ReplyPlace | undefined {
  const [, key, fence, n, eventId] = PLACE.exec(correlationId ?? '') ?? [];
  if (key === undefined) return undefined;
  if (fence === undefined) return { kind: 'answer', id: key };
  const slot = { kind: 'slot' as const, mailbox: key, fence: Number(fence), n: Number(n) };
  return eventId === undefined ? slot : { ...slot, eventId: decode(eventId) };
}

/** The correlation id of the event `eventId` that is taken under a slot. */
export function slotId({
  mailbox,
  fence,
  n,
  eventId,
}: {
  mailbox: string;
  fence: number;
  n: number;
  eventId: string;
}): string {
  return `${mailbox}.${fence}.${n}.${encodeURIComponent(eventId)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
