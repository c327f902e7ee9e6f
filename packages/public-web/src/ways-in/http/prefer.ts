/** A preference or a parameter of one, behind what separates it from those before; quoted strings are passed over. */
const PART = /([,;]?)((?:[^,;"]|"(?:[^"\\]|\\.)*")*)/y;
const WAIT = /^[ \t]*wait[ \t]*(?:=[ \t]*"?(\d{1,6})"?[ \t]*$|=|$)/i;

/**
 * How long a client that sent `Prefer: wait=<seconds>` (RFC 7240) waits, in milliseconds: never longer than
 * `defaultMs`. Of several the first counts, as the RFC asks (section 2); one that makes no sense is ignored.
 */
export function preferredDeadlineMs(prefer: string | string[] | undefined, defaultMs: number): number {
  if (prefer === undefined) return defaultMs;
  const preferredMs = Number(secondsOf(String(prefer)) ?? 0) * 1000;
  return preferredMs > 0 ? Math.min(preferredMs, defaultMs) : defaultMs;
}

function secondsOf(prefer: string): string | undefined {
  PART.lastIndex = 0;
  for (let part = PART.exec(prefer); part?.[0]; part = PART.exec(prefer)) {
    const [, separator, text = ''] = part;
    const wait = separator === ';' ? null : WAIT.exec(text);
    if (wait) return wait[1];
  }
  return undefined;
}
