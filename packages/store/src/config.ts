import {
  EnvError,
  integer,
  loadConfig,
  logLevel,
  makeExactValidator,
  ms,
  port,
  type Relation,
  secrets,
  str,
} from '@waybill/common/config.ts';
import { tlsRelation, tlsSettings } from '@waybill/common/http/tls.ts';
import { KEPT_VALUE_MAX_BYTES } from '@waybill/common/internal-call/store-calls.ts';

/** `sqlite:<path>`, or a PostgreSQL URL. Faults never repeat the value, which may hold a password. */
const databaseUrl = makeExactValidator<string>((text) => {
  const url = URL.parse(text);
  if (url?.protocol === 'sqlite:' && url.pathname !== '') return text;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '') return text;
  throw new EnvError('is neither sqlite:<path> nor postgresql://<user>:<password>@<host>:<port>/<database>');
});

/** Bytes of values under keys: one of the largest has room. */
const keptBytes = makeExactValidator<number>((text) =>
  integer(text, 2 * KEPT_VALUE_MAX_BYTES, Number.MAX_SAFE_INTEGER),
);

/** Settings of the store. */
export const storeSettings = {
  HOST: str({ default: '127.0.0.1', desc: 'Address both ports bind to' }),
  PORT: port({
    default: 8090,
    desc: 'Internal port, for public-web and dispatchers; never published outside',
  }),
  HEALTH_PORT: port({ default: 8091, desc: 'Port of /health/live and /health/ready' }),
  INTERNAL_SECRETS: secrets({
    desc: 'One secret of at least 32 characters shared by public-web, dispatcher and store, or two while rotating: the first signs, all verify',
  }),
  RESULTS_SECRETS: secrets({
    default: undefined,
    desc: 'One secret of at least 32 characters shared with the listeners that keep results of events here (idempotency.md), or two while rotating; another one than INTERNAL_SECRETS. Without it none does',
  }),
  DATABASE_URL: databaseUrl({
    default: 'sqlite:data/store.db',
    desc: 'Where it stores: sqlite:<path> (a file that this process alone has open; made if it is not there), or postgresql://user:password@host:port/database, which several processes may share',
  }),
  RETENTION_MS: ms({
    default: 86_400_000,
    desc: 'How long answers, and entries of mailboxes that nobody fetches, are kept (a day)',
  }),
  KEPT_VALUES_MAX_BYTES: keptBytes({
    default: 4 * 1024 ** 3,
    desc: 'Most bytes kept under idempotency keys (4 GiB), and as many again of results that listeners keep (operations.md); beyond, what comes with a new key is answered 429',
  }),
  KEPT_VALUES_MAX_OWNER_BYTES: keptBytes({
    default: 1024 ** 3,
    desc: 'Most of these bytes of one API key (1 GiB; without API keys all clients are one), or of one name of results',
  }),
  ...tlsSettings,
  LOG_LEVEL: logLevel(),
};

type SecretsConfig = { INTERNAL_SECRETS: string[]; RESULTS_SECRETS: string[] | undefined };

/** What listeners have must not open what only tiers of ours may do. */
const secretsRelation: Relation<SecretsConfig> = {
  settings: ['INTERNAL_SECRETS', 'RESULTS_SECRETS'],
  fault: ({ INTERNAL_SECRETS: internal, RESULTS_SECRETS: results }) =>
    results?.some((secret) => internal.includes(secret))
      ? 'the two must have no secret in common'
      : undefined,
};

/** Reads and checks the settings; throws one error that names every fault. */
export const loadStoreConfig = (env?: NodeJS.ProcessEnv) =>
  loadConfig(storeSettings, env, [tlsRelation, secretsRelation]);
