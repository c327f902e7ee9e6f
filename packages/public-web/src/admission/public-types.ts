import { NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';

/**
 * Whether clients may send events of `type`: it matches one of `patterns`, in which `*` may stand at the end.
 *
 * Types that start with `waybill.` are internal, and `NewClientRequest` enters through endpoints of its own, whatever
 * the patterns say.
 */
export function isPublicType(type: string, patterns: readonly string[]): boolean {
  if (type.startsWith('waybill.') || type === NEW_CLIENT_TYPE) return false;
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? type.startsWith(pattern.slice(0, -1)) : type === pattern,
  );
}

/** Whether clients may send events of some type that begins with `prefix`. */
export function mayBePublic(prefix: string, patterns: readonly string[]): boolean {
  return patterns.some(
    (pattern) =>
      pattern.startsWith(prefix) || (pattern.endsWith('*') && prefix.startsWith(pattern.slice(0, -1))),
  );
}

/**
 * What names `type` in span names and metrics: itself if it is one of `named`, else `_OTHER`. A type that only matches a
 * pattern with `*` is a client's free choice, and labels that clients choose are a cardinality attack.
 */
export function labelOfType(type: string, named: readonly string[]): string {
  return named.includes(type) ? type : '_OTHER';
}
