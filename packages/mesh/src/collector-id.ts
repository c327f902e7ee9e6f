/**
 * What a site may call itself. Peers choose it, and it is logged, kept, and named in the way of calls, where a comma ends a name.
 */
const COLLECTOR_ID = /^[^\p{C},]{1,128}$/u;

/** Whether `text` is a collector id. */
export function isCollectorId(text: string): boolean {
  return COLLECTOR_ID.test(text);
}
