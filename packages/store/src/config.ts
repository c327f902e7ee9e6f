import {
  EnvError,
  loadConfig,
  logLevel,
  makeExactValidator,
  ms,
  port,
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

/** Reads and checks the settings; throws one error that names every fault. */
export const loadStoreConfig = (env?: NodeJS.ProcessEnv) => loadConfig(storeSettings, env, [tlsRelation]);
