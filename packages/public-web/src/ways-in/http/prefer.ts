/** A preference or a parameter of one, behind what separates it from those before; quoted strings are passed over. */
const PART = /([,;]?)((?:[^,;"]|"(?:[^"\\]|\\.)*")*)/y;
const WAIT = /^[ \t]*wait[ \t]*(?:=[ \t]*"?(\d{1,6})"?[ \t]*$|=|$)/i;

const RESPOND_ASYNC = /^[ \t]*respond-async[ \t]*$/i;

/**
 * How long a client that sent `Prefer: wait=<seconds>` (RFC 7240) waits, in milliseconds: never longer than
 * `defaultMs`. Of several the first counts, as the RFC asks (section 2); one that makes no sense is ignored.
 */
export function preferredDeadlineMs(prefer: string | string[] | undefined, defaultMs: number): number {
  return waitIn(prefer, defaultMs) ?? defaultMs;
}

/** The same; undefined where the client has not said how long. */
export function waitIn(prefer: string | string[] | undefined, maxMs: number): number | undefined {
  if (prefer === undefined) return undefined;
  const preferredMs = Number(find(String(prefer), WAIT)?.[1] ?? 0) * 1000;
  return preferredMs > 0 ? Math.min(preferredMs, maxMs) : undefined;
}

/** Whether a client would rather be answered 202, and fetch the answer later (RFC 7240, section 4.1). */
export function prefersAsync(prefer: string | string[] | undefined): boolean {
  return prefer !== undefined && find(String(prefer), RESPOND_ASYNC) !== undefined;
}

/** The first preference that matches. */
function find(prefer: string, pattern: RegExp): RegExpExecArray | undefined {
  PART.lastIndex = 0;
  for (let part = PART.exec(prefer); part?.[0]; part = PART.exec(prefer)) {
    const [, separator, text = ''] = part;
    const found = separator === ';' ? null : pattern.exec(text);
    if (found) return found;
  }
  return undefined;
}
