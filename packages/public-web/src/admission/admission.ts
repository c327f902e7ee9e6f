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

/** Of the addresses seen longest ago the buckets are dropped; whoever comes again has a full one. */
const MAX_ADDRESSES = 10_000;

/** Somebody who was let in. */
export type Caller = {
  /** The id of its key, for logs; undefined where no keys are needed. */
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
  /** The id of a key that was shown before. */
  apiKeyId?: string | undefined;
  address: string;
}) => Caller;

/** Creates {@link Admit}. `nowMs` is a monotonic clock. */
export function createAdmit({
  apiKeys,
  addressRate,
  nowMs,
}: {
  /** Undefined: no keys are needed. */
  apiKeys: readonly ApiKey[] | undefined;
  /** Events per second and address; 0: no limit. */
  addressRate: number;
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
  const unlimited = know();

  function knownAt(address: string): Known {
    if (addressRate === 0) return unlimited;
    const network = networkOf(address);
    const known = byAddress.get(network) ?? know(undefined, { rate: addressRate, nowMs });
    byAddress.set(network, known);
    return known;
  }

  return ({ key, apiKeyId, address }) => {
    const apiKey =
      apiKeyId !== undefined
        ? byId.get(apiKeyId)
        : key === undefined || !apiKeys
          ? undefined
          : findApiKey(key);
    const { caller, bucket } = (apiKey && byKey.get(apiKey)) ?? knownAt(address);
    take(bucket, 1);
    if (apiKeys && !apiKey)
      throw new AppError(
        'unauthorized',
        key === undefined && apiKeyId === undefined ? 'an API key is needed' : 'the API key is unknown',
      );
    return caller;
  };
}

/** A caller, the same for all its requests, and the bucket that all of them take from. */
type Known = { caller: Caller; bucket: TokenBucket | undefined };

function know(apiKey?: ApiKey, limit?: Parameters<typeof createTokenBucket>[0]): Known {
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

function toCaller(apiKey: ApiKey | undefined, bucket: TokenBucket | undefined): Caller {
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
