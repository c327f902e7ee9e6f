/**
 * The API keys that clients of the public edge may have: what the setting says of them, and which one was shown.
 *
 * At rest a key is its plain SHA-256. Slow, salted hashes (argon2, scrypt) make up for secrets that can be guessed; a
 * key has 256 random bits, so neither guessing nor a table of hashes finds one, and a fast hash costs a request 1 µs.
 *
 * A shown key is hashed and compared with every hash in constant time, without stopping at a match: how long it takes
 * says neither how much of a hash was right nor which key it was. (A map by hash would do, for what its timing tells of
 * a hash leads to no key; but this needs no such argument, and 256 keys take 17 µs.)
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { settingJson } from '@waybill/common/config.ts';
import { AppError } from '@waybill/common/errors.ts';

/** More clients than this belong behind a gateway that has a store of keys. */
const MAX_KEYS = 256;

export type ApiKey = {
  /** Names the key in logs. */
  id: string;
  /** `sha256:` and the SHA-256 of the key in hex. */
  hash: string;
  /** Events per second; absent: no limit. */
  rate?: number;
  /** Events at once after a pause; default: those of one second, at least 1. */
  burst?: number;
  /** Event types it may send, `*` at the end of one allowed; absent: all that PUBLIC_EVENT_TYPES has. */
  types?: string[];
  /** Whether it may name new clients, over HTTP and gRPC; default false. */
  clients?: boolean;
  /** Whether it may see and change whom a site of a mesh is connected to; default false. */
  mesh?: boolean;
};

/** The key whose hash is that of `shown`; undefined when there is none. */
export type FindApiKey<Key extends Pick<ApiKey, 'hash'> = ApiKey> = (shown: string) => Key | undefined;

/** Creates {@link FindApiKey}. */
export function createFindApiKey<Key extends Pick<ApiKey, 'hash'>>(apiKeys: readonly Key[]): FindApiKey<Key> {
  const known = apiKeys.map((apiKey) => ({ apiKey, digest: Buffer.from(apiKey.hash.slice(7), 'hex') }));
  return (shown) => {
    const digest = hash('sha256', shown, 'buffer');
    let found: Key | undefined;
    for (const key of known) if (timingSafeEqual(key.digest, digest)) found = key.apiKey;
    return found;
  };
}

/**
 * Reads the keys from JSON text.
 *
 * @throws AppError `invalid-config` that names what is wrong, and repeats no value: it may be a key in place of its hash.
 */
export function parseApiKeys(text: string): ApiKey[] {
  const keys = settingJson(text, refuse);
  if (!Array.isArray(keys) || keys.length < 1 || keys.length > MAX_KEYS)
    throw refuse(`give a JSON array of 1 to ${MAX_KEYS} keys`);
  keys.forEach(assertApiKey);
  for (const member of ['id', 'hash'] as const)
    if (new Set(keys.map((key) => key[member])).size < keys.length)
      throw refuse(`two have the same ${member}`);
  return keys;
}

const MEMBERS: Record<keyof ApiKey, [isValid: (value: unknown) => boolean, form: string]> = {
  id: [(value) => isText(value, /^[\w.:-]{1,128}$/), '1 to 128 letters, digits, and _ . : -'],
  hash: [(value) => isText(value, /^sha256:[0-9a-f]{64}$/), 'sha256: and 64 lower-case hex digits'],
  rate: [(value) => isNumber(value, 0.001), 'a number from 0.001 up'],
  burst: [(value) => isNumber(value, 1), 'a number from 1 up'],
  types: [(value) => Array.isArray(value) && value.every(isTypePattern), 'an array of event types'],
  clients: [(value) => typeof value === 'boolean', 'true or false'],
  mesh: [(value) => typeof value === 'boolean', 'true or false'],
};

/** Other members are refused: a misspelt `types` would permit all of them. */
function assertApiKey(value: unknown, index: number): void {
  if (typeof value !== 'object' || value === null) throw refuse(`number ${index + 1} is no object`);
  const given = value as Record<string, unknown>;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(MEMBERS, name)) throw refuse(`number ${index + 1} has a member that no key has`);
  for (const [name, [isValid, form]] of Object.entries(MEMBERS)) {
    const isRequired = name === 'id' || name === 'hash';
    if ((isRequired || given[name] !== undefined) && !isValid(given[name]))
      throw refuse(`${name} of number ${index + 1} must be ${form}`);
  }
}

function isText(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value);
}

function isNumber(value: unknown, min: number): boolean {
  return typeof value === 'number' && value >= min && value <= 1e6;
}

function isTypePattern(value: unknown): boolean {
  return isText(value, /^(?:[A-Za-z0-9._-]{1,128}|[A-Za-z0-9._-]{0,128}\*)$/);
}

function refuse(reason: string): AppError {
  return new AppError('invalid-config', `no API keys: ${reason}`);
}
