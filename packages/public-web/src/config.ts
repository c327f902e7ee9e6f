import { readFileSync } from 'node:fs';
import {
  count,
  EnvError,
  httpUrl,
  httpUrls,
  integer,
  list,
  loadConfig,
  logLevel,
  makeExactValidator,
  maxEventBytes,
  ms,
  port,
  type Relation,
  secrets,
  shown,
  shutdownPause,
  str,
} from '@waybill/common/config.ts';
import { AMQP_PORT, brokerAddresses } from '@waybill/common/credentials/broker-address.ts';
import { parsePublicJwk } from '@waybill/common/credentials/credential-keys.ts';
import { parseTypeDescriptions, type TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { readDescriptorSet, type ServiceMethods } from '@waybill/common/grpc/service-methods.ts';
import { certificate, tlsRelation, tlsSettings } from '@waybill/common/http/tls.ts';
import { isLoopback, isPeerAddress } from '@waybill/mesh/peer-address.ts';
import { parseApiKeys } from './admission/api-keys.ts';
import { MOST_KEYS } from './idempotency/idempotency-store.ts';
import { type MeshPeer, parseMeshPeers } from './mesh/mesh-peers.ts';
import { parseTrustedProxies } from './ways-in/client-address.ts';

const apiKeys = makeExactValidator(parseApiKeys);
const typeDescriptions = makeExactValidator(parseTypeDescriptions);
const meshPeers = makeExactValidator(parseMeshPeers);

/** The public key that clients' credentials are sealed to: an X25519 JWK with a `kid`, as JSON. */
const jwk = makeExactValidator(parsePublicJwk);

/** A comma-separated list of addresses and networks. */
const proxies = makeExactValidator<readonly string[]>((text) => parseTrustedProxies(list(text)));

const bool = makeExactValidator<boolean>((text) => {
  if (text !== 'true' && text !== 'false') throw new EnvError(`${shown(text)} is neither true nor false`);
  return text === 'true';
});

/** How many of something there may be per second, from 0 up. */
const perSecond = makeExactValidator<number>((text) => integer(text, 0, 1_000_000));

/** A comma-separated list of host names, in lower case; `*.` may stand before one, and `*` for all. */
const hostNames = makeExactValidator<string[]>((text) =>
  list(text).map((item) => {
    const name = item.toLowerCase();
    if (!/^(?:\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)$/.test(name))
      throw new EnvError(`${shown(item)} is not a host name (without scheme and port)`);
    return name;
  }),
);

/** A comma-separated list of origins (RFC 6454), or `*` for all. */
const origins = makeExactValidator<string[]>((text) =>
  list(text).map((item) => {
    if (item !== '*' && !(URL.canParse(item) && new URL(item).origin === item))
      throw new EnvError(
        `${shown(item)} is not an origin (a scheme, a host, and a port if it is not the scheme's)`,
      );
    return item;
  }),
);

/** A comma-separated list of event types; `*` may stand at the end of one. */
const eventTypePatterns = makeExactValidator<string[]>((text) =>
  list(text).map((item) => {
    if (!/^[A-Za-z0-9._-]{0,128}\*?$/.test(item)) throw new EnvError(`${shown(item)} is not an event type`);
    return item;
  }),
);

/**
 * A comma-separated list of namespaces of the mesh, whose methods are events: none of Waybill's own, and none within another,
 * or a call in one could be an event of the other.
 */
const meshNamespaces = makeExactValidator<string[]>((text) => {
  const names = list(text);
  for (const name of names) {
    if (!/^(?!waybill(\.|$))[A-Za-z0-9._-]{1,64}$/.test(name))
      throw new EnvError(`${shown(name)} is not a namespace`);
    const outer = names.find((other) => name.startsWith(`${other}.`));
    if (outer !== undefined) throw new EnvError(`${shown(name)} is within ${shown(outer)}`);
  }
  return names;
});

/** The services that a descriptor set, a file as `protoc --descriptor_set_out` writes it, declares. */
const descriptorSet = makeExactValidator<ServiceMethods>((path) => {
  try {
    return readDescriptorSet(readFileSync(path));
  } catch (cause) {
    throw new EnvError(`${shown(path)} is no descriptor set: ${(cause as Error).message}`);
  }
});

/** Settings of public-web. */
export const publicWebSettings = {
  HOST: str({ default: '127.0.0.1', desc: 'Address the public ports bind to' }),
  PORT: port({ default: 8080, desc: 'Public port; 0 lets the system choose' }),
  HEALTH_PORT: port({
    default: 8088,
    desc: 'Port of /health/live and /health/ready, for supervisors and load balancers; never TLS, and not for the outside. The public port has them too, as long as strangers leave it connections',
  }),
  GRPC_PORT: port({
    default: 50_051,
    desc: 'Public gRPC port, open if CREDENTIALS_PUBLIC_KEY or MESH_ID is set, or PUBLIC_EVENT_TYPES has some of nimbus.; 0 lets the system choose',
  }),
  INTERNAL_HOST: str({
    default: '127.0.0.1',
    desc: 'Address the internal port binds to; never published outside',
  }),
  INTERNAL_PORT: port({ default: 8081, desc: 'Internal port, where dispatchers deliver replies' }),
  INTERNAL_URL: httpUrl({
    default: undefined,
    desc: 'How dispatchers reach the internal port of this very instance; default: the address that it is bound to, so set it where INTERNAL_HOST is 0.0.0.0',
  }),
  DISPATCHER_URLS: httpUrls({
    default: ['http://127.0.0.1:8082'],
    desc: 'Dispatchers, comma-separated; every address a name resolves to counts as one',
  }),
  INTERNAL_SECRETS: secrets({
    desc: 'One secret of at least 32 characters shared by public-web and dispatcher, or two while rotating: the first signs, all verify',
  }),
  PUBLIC_EVENT_TYPES: eventTypePatterns({
    default: ['PingRequest'],
    desc: 'Event types clients may send, comma-separated; * may stand at the end of one',
  }),
  TYPE_DESCRIPTIONS: typeDescriptions({
    default: {},
    desc: 'What /openapi.json, /asyncapi.json and /docs say of the data of public types: JSON, as bin/describe-types.mjs makes it of listeners (schemas.md). With DEVELOPMENT a file is read anew each time',
  }),
  API_KEYS: apiKeys({
    default: undefined,
    desc: 'Keys of clients, as a JSON array of {"id","hash"} and optionally "rate", "burst", "types", "clients", "mesh" (security.md; bin/make-api-key.mjs makes one); without it no key is needed',
  }),
  JWT_JWKS_URL: httpUrl({
    default: undefined,
    desc: 'Where the public keys (a JWKS) of an issuer of JSON Web Tokens are, which clients may show in place of an API key (security.md); with the next two',
  }),
  JWT_ISSUER: str({ default: undefined, desc: 'Who issues those tokens: their claim iss' }),
  JWT_AUDIENCE: str({ default: undefined, desc: 'Whom those tokens have to be for: their claim aud' }),
  JWT_RATE_LIMIT: perSecond({
    default: 0,
    desc: 'Events per second of each subject (claim sub) of those tokens; 0: no limit',
  }),
  ALLOWED_HOSTS: hostNames({
    default: undefined,
    desc: 'Names by which clients call the public HTTP port (Host), comma-separated, *. before one for any below it, * for all; others are answered 421. Default: all with API_KEYS or JWT_JWKS_URL, else none. Addresses, and names that nobody can register (security.md), are always taken',
  }),
  ALLOWED_ORIGINS: origins({
    default: [],
    desc: 'Origins whose web pages may call the public HTTP port (CORS) and open a WebSocket, comma-separated, such as https://shop.example; * for all. Pages of this very server always may, and so may what is no browser',
  }),
  RATE_LIMIT: perSecond({
    default: 0,
    desc: 'Events per second and client address (IPv6: /64 network) of those who show no right API key; 0: no limit. Behind a proxy all clients share one, unless TRUSTED_PROXIES has it',
  }),
  TRUSTED_PROXIES: proxies({
    default: [],
    desc: 'Addresses or networks of proxies, comma-separated (10.0.0.0/8; loopback, linklocal, uniquelocal for private ones), whose X-Forwarded-For tells the address of a client; that of anybody else is ignored',
  }),
  CREDENTIALS_PUBLIC_KEY: jwk({
    default: undefined,
    desc: "What clients' broker credentials are sealed to: the public part of a key of data-dispatch-listener, an X25519 JWK as JSON; without it no datasets are dispatched",
  }),
  CLIENT_BROKERS: brokerAddresses({
    default: [
      { host: 'localhost', port: AMQP_PORT, isTls: false },
      { host: '127.0.0.1', port: AMQP_PORT, isTls: false },
    ],
    desc: "Brokers that clients' queues may be on, comma-separated host:port (or amqps://host:port, as in the listener's list)",
  }),
  DEADLINE_MS: ms({
    default: 30_000,
    desc: 'How long a client waits at most; Prefer: wait= can only shorten it',
  }),
  STORE_URLS: httpUrls({
    default: undefined,
    desc: 'Stores, comma-separated, that keep answers which are fetched later, mailboxes and idempotency keys; all at one database, and the same for dispatchers',
  }),
  ACCEPTED_DEADLINE_MS: ms({
    default: 3_600_000,
    desc: 'How long an event may take whose client does not wait for it (Prefer: respond-async)',
  }),
  MAX_EVENT_BYTES: maxEventBytes(),
  MAX_SESSIONS: count({
    default: 10_000,
    desc: 'Most clients that are attached to their mailbox at once; one more is answered 503',
  }),
  MAX_PARKED: count({ default: 10_000, desc: 'Most requests waiting for a reply; one more is answered 503' }),
  IDEMPOTENCY_WINDOW_MS: ms({
    default: 600_000,
    desc: 'How long an answer is given again to requests with its Idempotency-Key (idempotency.md); with STORE_URLS at least twice DEADLINE_MS',
  }),
  IDEMPOTENCY_MAX_KEYS: makeExactValidator<number>((text) => integer(text, 1, MOST_KEYS))({
    default: 10_000,
    desc: `Most answers kept for that in memory, where there is no store, from 1 to ${MOST_KEYS}, and at most 64 MiB of them; beyond, those asked for longest ago are forgotten, of the API key that has most`,
  }),
  MAX_CONNECTIONS: count({ default: 10_000, desc: 'Most client connections (HTTP)' }),
  GRPC_MAX_CONNECTIONS: count({ default: 1_000, desc: 'Most client connections (gRPC)' }),
  GRPC_MAX_STREAMS: count({
    default: 2_000,
    desc: 'Most streams of events at once (gRPC, nimbus.NimbusService)',
  }),
  MAX_EVENT_LOOP_DELAY_MS: ms({
    default: 1_000,
    desc: 'By how much the event loop may be late on average over two seconds; the next two all requests for events and clients (HTTP) are answered 503',
  }),
  MESH_ID: makeExactValidator<string>((text) => {
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(text)) throw new EnvError(`${shown(text)} is not a collector id`);
    return text;
  })({
    default: undefined,
    desc: 'Collector id of this site in a mesh (mesh.md), another than those of its peers; without it there is no mesh',
  }),
  MESH_ADDRESS: makeExactValidator<string>((text) => {
    if (!isPeerAddress(text)) throw new EnvError(`${shown(text)} is not host:port`);
    return text;
  })({ default: undefined, desc: 'How peers of the mesh reach the gRPC port of this site: host:port' }),
  MESH_NAMESPACES: meshNamespaces({
    default: undefined,
    desc: 'Namespaces that this site shares with the mesh, comma-separated: calls of them are events <namespace>.<Service>.<Method> here, whatever PUBLIC_EVENT_TYPES says',
  }),
  MESH_DESCRIPTORS: descriptorSet({
    default: undefined,
    desc: 'Descriptor set (protoc --descriptor_set_out) that declares every service of those namespaces: calls of others, and with inputs of other types, are answered 404; without it every service is taken for registered',
  }),
  MESH_PEERS: meshPeers({
    default: undefined,
    desc: 'Peers of the mesh, as a JSON array of {"id","address","hash","key"} and optionally "namespaces", "tls" (mesh.md); they are connected to, and nobody else may connect. Usually MESH_PEERS_FILE. Without it the mesh is open, on loopback alone',
  }),
  GRPC_CLIENT_CA: certificate({
    default: undefined,
    desc: 'Authorities, PEM, of the certificates that callers of the gRPC port have to show (mutual TLS); with TLS_CERT. Usually GRPC_CLIENT_CA_FILE',
  }),
  MESH_CONNECTIONS: str({
    default: undefined,
    desc: 'File (SQLite) that connections of the mesh are kept in, and found again after a restart; without it they are kept in the store of STORE_URLS, and without that forgotten with the process',
  }),
  DEVELOPMENT: bool({
    default: false,
    desc: 'Whether / is a page with the last events, for whoever asks (otherwise it leads to /docs), and telemetry names every type that clients send. Set by npm start',
  }),
  ...tlsSettings,
  SHUTDOWN_PAUSE_MS: shutdownPause(),
  LOG_LEVEL: logLevel(),
};

type MeshConfig = {
  MESH_ID: string | undefined;
  MESH_ADDRESS: string | undefined;
  MESH_NAMESPACES: string[] | undefined;
  MESH_PEERS: MeshPeer[] | undefined;
  HOST: string;
};

/** A mesh needs to know who and where it is; and as long as nobody shows who they are, only this machine may take part. */
const meshRelation: Relation<MeshConfig> = {
  settings: ['MESH_ID', 'MESH_ADDRESS', 'MESH_NAMESPACES', 'MESH_PEERS', 'HOST'],
  fault({ MESH_ID: id, MESH_ADDRESS: address, MESH_NAMESPACES: namespaces, MESH_PEERS: peers, HOST: host }) {
    const given = [id, address, namespaces].filter((value) => value !== undefined).length;
    if (given === 0 && !peers) return undefined;
    if (given < 3) return 'set the first three, or none of these';
    return peers || isLoopback(host) ? undefined : 'without MESH_PEERS the mesh is open, for loopback alone';
  },
};

type TokenConfig = Record<'JWT_JWKS_URL' | 'JWT_ISSUER' | 'JWT_AUDIENCE', string | undefined>;

/** A token of anybody, or for anybody, says nothing. */
const tokenRelation: Relation<TokenConfig> = {
  settings: ['JWT_JWKS_URL', 'JWT_ISSUER', 'JWT_AUDIENCE'],
  fault({ JWT_JWKS_URL: url, JWT_ISSUER: issuer, JWT_AUDIENCE: audience }) {
    const given = [url, issuer, audience].filter(Boolean).length;
    return given === 0 || given === 3 ? undefined : 'set all three, or none of these';
  },
};

/** Without TLS nobody shows a certificate. */
const clientCaRelation: Relation<{ GRPC_CLIENT_CA: string | undefined; TLS_CERT: string | undefined }> = {
  settings: ['GRPC_CLIENT_CA', 'TLS_CERT'],
  fault: ({ GRPC_CLIENT_CA: ca, TLS_CERT: cert }) => (ca && !cert ? 'the first needs the second' : undefined),
};

type WindowConfig = { IDEMPOTENCY_WINDOW_MS: number; DEADLINE_MS: number; STORE_URLS: string[] | undefined };

/** With a store an event may run until twice its deadline, and a claim that is forgotten meanwhile lets a retry run beside it. */
const windowRelation: Relation<WindowConfig> = {
  settings: ['IDEMPOTENCY_WINDOW_MS', 'DEADLINE_MS', 'STORE_URLS'],
  fault: ({ IDEMPOTENCY_WINDOW_MS: windowMs, DEADLINE_MS: deadlineMs, STORE_URLS: urls }) =>
    urls && windowMs < 2 * deadlineMs ? 'with the third the first is at least twice the second' : undefined,
};

const relations = [tlsRelation, meshRelation, clientCaRelation, tokenRelation, windowRelation];

/** What `TYPE_DESCRIPTIONS` says now, which of a file may be something else than at the start. Throws as {@link loadPublicWebConfig}. */
export const readTypeDescriptions = (env?: NodeJS.ProcessEnv): TypeDescriptions =>
  loadConfig({ TYPE_DESCRIPTIONS: publicWebSettings.TYPE_DESCRIPTIONS }, env).TYPE_DESCRIPTIONS;

/** Reads and checks the settings; throws one error that names every fault. */
export const loadPublicWebConfig = (env?: NodeJS.ProcessEnv) => loadConfig(publicWebSettings, env, relations);
