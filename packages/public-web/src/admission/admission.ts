/**
 * Who may do what at the public edge, and how often: HTTP and gRPC ask here, first of all.
 *
 * With API keys, every caller needs one; what it may send and how fast stands with its key. Without them everybody may
 * send every public type. Callers without a (right) key are limited by their address, if they are limited at all; so
 * trying keys is limited too.
 *
 * The address is what `client-address.ts` says. Behind a proxy that is not trusted all clients are one address.
 */
import { isIPv6 } from 'node:net';
import { AppError } from '@waybill/common/errors.ts';
import { LRUCache } from 'lru-cache';
import { type ApiKey, createFindApiKey } from './api-keys.ts';
import { isPublicType } from './public-types.ts';
import { createTokenBucket, type TokenBucket } from './token-bucket.ts';

/** Names callers by the subject of their token; no id of an API key has a slash. */
const SUBJECT_PREFIX = 'jwt/';
/** Of the addresses and subjects seen longest ago the buckets are dropped; whoever comes again has a full one. */
const MAX_ADDRESSES = 10_000;

/** Somebody who was let in. */
export type Caller = {
  /** The id of its key, or `jwt/` and the subject of its token; undefined where neither is needed. */
  apiKeyId: string | undefined;
  /** @throws AppError `forbidden` when its key does not permit events of `type`. */
  assertMaySend(type: string): void;
  /** @throws AppError `forbidden` when its key does not permit naming new clients. */
  assertMayAddClients(): void;
  /** @throws AppError `forbidden` when its key does not permit to see, and change, the connections of a mesh. */
  assertMayManageMesh(): void;
  /**
   * Counts the events of a batch, of which being let in has counted one.
   *
   * @throws AppError `rate-limited`, with `retryAfterMs`.
   */
  countEvents(count: number): void;
  /**
   * Counts one more event, of a caller that was let in once for many.
   *
   * @throws AppError `rate-limited`, with `retryAfterMs`.
   */
  countEvent(): void;
};

/**
 * Lets a caller in, and counts one event.
 *
 * @throws AppError `unauthorized` without a right key where one is needed; `rate-limited`, with `retryAfterMs`.
 */
export type Admit = (request: {
  key: string | undefined;
  /** As {@link Caller} has it, of what was shown before. */
  apiKeyId?: string | undefined;
  /** That of a token that was verified. */
  subject?: string | undefined;
  address: string;
}) => Caller;

/** Creates {@link Admit}. `nowMs` is a monotonic clock. */
export function createAdmit({
  apiKeys,
  addressRate,
  subjectRate,
  nowMs,
}: {
  /** Undefined: no keys are needed. */
  apiKeys: readonly ApiKey[] | undefined;
  /** Events per second and address; 0: no limit. */
  addressRate: number;
  /** Events per second of each subject of tokens; 0: no limit; undefined: no tokens are taken. */
  subjectRate?: number | undefined;
  nowMs?: () => number;
}): Admit {
  const findApiKey = createFindApiKey(apiKeys ?? []);
  const byKey = new Map<ApiKey, Known>();
  for (const key of apiKeys ?? []) {
    const { rate, burst } = key;
    byKey.set(key, know(key, rate === undefined ? undefined : { rate, burst, nowMs }));
  }
  const byId = new Map(apiKeys?.map((key) => [key.id, key]));
  const byAddress = new LRUCache<string, Known>({ max: MAX_ADDRESSES });
  const bySubject = new LRUCache<string, Known>({ max: MAX_ADDRESSES });
  const unlimited = know();
  const isKeyNeeded = apiKeys !== undefined || subjectRate !== undefined;

  /** As subjects are the issuer's to choose, they are no keys of ours by any name. */
  function knownBySubject(subject: string): Known {
    const limit = subjectRate ? { rate: subjectRate, nowMs } : undefined;
    const known = bySubject.get(subject) ?? know({ id: SUBJECT_PREFIX + subject }, limit);
    bySubject.set(subject, known);
    return known;
  }

  function knownById(id: string): Known | undefined {
    if (subjectRate !== undefined && id.startsWith(SUBJECT_PREFIX))
      return knownBySubject(id.slice(SUBJECT_PREFIX.length));
    const apiKey = byId.get(id);
    return apiKey && byKey.get(apiKey);
  }

  function knownByKey(key: string): Known | undefined {
    const apiKey = apiKeys && findApiKey(key);
    return apiKey && byKey.get(apiKey);
  }

  function knownAt(address: string): Known {
    if (addressRate === 0) return unlimited;
    const network = networkOf(address);
    const known = byAddress.get(network) ?? know(undefined, { rate: addressRate, nowMs });
    byAddress.set(network, known);
    return known;
  }

  return ({ key, apiKeyId, subject, address }) => {
    let known: Known | undefined;
    if (subject !== undefined) known = knownBySubject(subject);
    else if (apiKeyId !== undefined) known = knownById(apiKeyId);
    else if (key !== undefined) known = knownByKey(key);
    const { caller, bucket } = known ?? knownAt(address);
    take(bucket, 1);
    if (isKeyNeeded && !known)
      throw new AppError(
        'unauthorized',
        key === undefined && apiKeyId === undefined ? 'an API key is needed' : 'the API key is unknown',
      );
    return caller;
  };
}

/** A caller, the same for all its requests, and the bucket that all of them take from. */
type Known = { caller: Caller; bucket: TokenBucket | undefined };

function know(apiKey?: Omit<ApiKey, 'hash'>, limit?: Parameters<typeof createTokenBucket>[0]): Known {
  const bucket = limit && createTokenBucket(limit);
  return { caller: toCaller(apiKey, bucket), bucket };
}

/**
 * The key that a request shows: `Authorization: Bearer <key>`, else `x-api-key`. Undefined when it shows none.
 * Nowhere in the URL: those are logged and traced.
 */
export function shownKey(authorization: unknown, apiKey: unknown): string | undefined {
  const bearer =
    typeof authorization === 'string' ? /^bearer +([^\s]+) *$/i.exec(authorization)?.[1] : undefined;
  return bearer ?? (typeof apiKey === 'string' && apiKey !== '' ? apiKey : undefined);
}

function toCaller(apiKey: Omit<ApiKey, 'hash'> | undefined, bucket: TokenBucket | undefined): Caller {
  return {
    apiKeyId: apiKey?.id,
    assertMaySend(type) {
      if (apiKey?.types && !isPublicType(type, apiKey.types))
        throw new AppError('forbidden', `the API key does not permit events of type ${type}`);
    },
    assertMayAddClients() {
      if (apiKey && apiKey.clients !== true)
        throw new AppError('forbidden', 'the API key does not permit new clients');
    },
    assertMayManageMesh() {
      if (apiKey && apiKey.mesh !== true)
        throw new AppError('forbidden', 'the API key does not permit to manage the mesh');
    },
    countEvents: (count) => take(bucket, count, 1),
    countEvent: () => take(bucket, 1),
  };
}

function take(bucket: TokenBucket | undefined, count: number, taken = 0): void {
  const waitMs = bucket?.take(count, taken) ?? 0;
  if (waitMs === 0) return;
  const seconds = Math.ceil(waitMs / 1000);
  throw new AppError('rate-limited', `too many events; try again in ${seconds} s`, { retryAfterMs: waitMs });
}

/** Whoever has one IPv6 address has the 2^64 of its network. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.startsWith('::ffff:')) return address;
  const [head = '', tail] = address.split('::');
  const groups = head.split(':');
  if (tail === undefined) return groups.slice(0, 4).join(':');
  const zeros = 8 - groups.length - tail.split(':').length;
  return [...groups, ...Array(zeros).fill('0'), ...tail.split(':')].slice(0, 4).join(':');
}
