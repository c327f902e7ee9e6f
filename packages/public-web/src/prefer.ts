/**
 * How long a client that sent `Prefer: wait=<seconds>` (RFC 7240) waits, in milliseconds: never longer than
 * `defaultMs`. A preference that makes no sense is ignored, as the RFC asks.
 */
export function preferredDeadlineMs(prefer: string | string[] | undefined, defaultMs: number): number {
  const seconds = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?\s*(?:$|[,;])/i.exec(String(prefer ?? ''))?.[1];
  const preferredMs = Number(seconds ?? 0) * 1000;
  return preferredMs > 0 ? Math.min(preferredMs, defaultMs) : defaultMs;
}
