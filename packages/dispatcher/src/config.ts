import { amqpUrl, countByType, loadConfig, logLevel, port, secrets, str } from '@waybill/common/config.ts';
import { NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';
import { tlsRelation, tlsSettings } from '@waybill/common/http/tls.ts';

/** Settings of the dispatcher. */
export const dispatcherSettings = {
  HOST: str({ default: '127.0.0.1', desc: 'Address both ports bind to' }),
  PORT: port({
    default: 8082,
    desc: 'Internal port, where public-web hands over events; never published outside',
  }),
  HEALTH_PORT: port({ default: 8083, desc: 'Port of /health/live and /health/ready' }),
  AMQP_URL: amqpUrl({ desc: 'The broker: amqp://user:password@host:port/vhost, or amqps://' }),
  INTERNAL_SECRETS: secrets({
    desc: 'One secret of at least 32 characters shared by public-web and dispatcher, or two while rotating: the first signs, all verify',
  }),
  BATCH_MAX_BY_TYPE: countByType({
    // A stream that starts would hold back the acks of its neighbours, and a crash would repeat them from the start.
    default: new Map([[NEW_CLIENT_TYPE, 1]]),
    desc: 'Most events per AMQP message for some types, as <type>=<count>, comma-separated; 1 for slow handlers and foreign consumers; keep NewClientRequest=1',
  }),
  ...tlsSettings,
  LOG_LEVEL: logLevel(),
};

/** Reads and checks the settings; throws one error that names every fault. */
export const loadDispatcherConfig = (env?: NodeJS.ProcessEnv) =>
  loadConfig(dispatcherSettings, env, [tlsRelation]);
