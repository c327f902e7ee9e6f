import {
  EnvError,
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

/** `sqlite:<path>`, or a PostgreSQL URL. Faults never repeat the value, which may hold a password. */
const databaseUrl = makeExactValidator<string>((text) => {
  const url = URL.parse(text);
  if (url?.protocol === 'sqlite:' && url.pathname !== '') return text;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '') return text;
  throw new EnvError('is neither sqlite:<path> nor postgresql://<user>:<password>@<host>:<port>/<database>');
});

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
