/** The peers of a site, from the setting MESH_PEERS: who they are, where, and by which key they are known. */
import { settingJson } from '@waybill/common/config.ts';
import { AppError } from '@waybill/common/errors.ts';
import { isPeerAddress } from '@waybill/mesh/peer-address.ts';

/** More would each be called every two seconds. */
const MAX_PEERS = 256;

export type MeshPeer = {
  /** Its collector id. */
  id: string;
  /** Where it is called, and the only address that it may name. */
  address: string;
  /** `sha256:` and the SHA-256, in hex, of the key that it shows here. */
  hash: string;
  /** The key that is shown to it. */
  key: string;
  /** The namespaces that it shares with this site, and may call here; absent: all. */
  namespaces?: string[];
  /** Whether it is called by TLS; default false. */
  tls?: boolean;
};

const MEMBERS: Record<keyof MeshPeer, [isValid: (value: unknown) => boolean, form: string]> = {
  id: [(value) => isText(value, /^[A-Za-z0-9._-]{1,64}$/), 'a collector id'],
  address: [(value) => typeof value === 'string' && isPeerAddress(value), 'host:port'],
  hash: [(value) => isText(value, /^sha256:[0-9a-f]{64}$/), 'sha256: and 64 lower-case hex digits'],
  key: [(value) => isText(value, /^[\x21-\x7e]{32,512}$/), 'a key of 32 characters or more'],
  namespaces: [(value) => Array.isArray(value) && value.every(isNamespace), 'an array of namespaces'],
  tls: [(value) => typeof value === 'boolean', 'true or false'],
};
const REQUIRED: readonly string[] = ['id', 'address', 'hash', 'key'];

/**
 * Reads the peers from JSON text.
 *
 * @throws AppError `invalid-config` that names what is wrong, and repeats no value: it may be a key.
 */
export function parseMeshPeers(text: string): MeshPeer[] {
  const peers = settingJson(text, refuse);
  if (!Array.isArray(peers) || peers.length < 1 || peers.length > MAX_PEERS)
    throw refuse(`give a JSON array of 1 to ${MAX_PEERS} peers`);
  peers.forEach(assertPeer);
  for (const member of ['id', 'address', 'hash'] as const)
    if (new Set(peers.map((peer) => peer[member])).size < peers.length)
      throw refuse(`two have the same ${member}`);
  return peers;
}

/** Other members are refused: a misspelt `namespaces` would permit all of them. */
function assertPeer(value: unknown, index: number): void {
  if (typeof value !== 'object' || value === null) throw refuse(`number ${index + 1} is no object`);
  const given = value as Record<string, unknown>;
  for (const name of Object.keys(given))
    if (!Object.hasOwn(MEMBERS, name)) throw refuse(`number ${index + 1} has a member that no peer has`);
  for (const [name, [isValid, form]] of Object.entries(MEMBERS))
    if ((REQUIRED.includes(name) || given[name] !== undefined) && !isValid(given[name]))
      throw refuse(`${name} of number ${index + 1} must be ${form}`);
}

function isText(value: unknown, form: RegExp): boolean {
  return typeof value === 'string' && form.test(value);
}

function isNamespace(value: unknown): boolean {
  return isText(value, /^[A-Za-z0-9._-]{1,64}$/);
}

function refuse(reason: string): AppError {
  return new AppError('invalid-config', `no peers of the mesh: ${reason}`);
}
