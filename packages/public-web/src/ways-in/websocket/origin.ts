/**
 * Whose web pages may open a WebSocket. Browsers let any page try (the same-origin policy does not hold for WebSockets), and
 * send its origin along; other clients send none, and are told apart by what they show.
 */

/** Whether a page of `origin` may; `host` is what the request calls this server. */
export type IsAllowedOrigin = (origin: string | undefined, host: string | undefined) => boolean;

/** Creates {@link IsAllowedOrigin}: pages of this very server, and of the `origins` listed; `*` stands for all. */
export function createAllowedOrigins(origins: readonly string[]): IsAllowedOrigin {
  const listed = new Set(origins);
  return (origin, host) =>
    origin === undefined ||
    listed.has('*') ||
    listed.has(origin) ||
    (host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase());
}
