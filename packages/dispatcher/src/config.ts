import {
  amqpUrl,
  EnvError,
  httpUrl,
  httpUrls,
  integer,
  list,
  loadConfig,
  logLevel,
  makeExactValidator,
  port,
  secrets,
  shown,
  str,
} from '@waybill/common/config.ts';
import { EVENT_TYPE_PATTERN, NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';
import { tlsRelation, tlsSettings } from '@waybill/common/http/tls.ts';

/** A comma-separated list of `<type>=<count>`. */
const countByType = makeExactValidator<Map<string, number>>(
  (text) =>
    new Map(
      list(text).map((item) => {
        const [type = '', value = '', ...rest] = item.split('=');
        if (!EVENT_TYPE_PATTERN.test(type) || rest.length > 0)
          throw new EnvError(`${shown(item)} is not <event type>=<count>`);
        return [type, integer(value, 1, 1024)];
      }),
    ),
);

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
  STORE_URLS: httpUrls({
    default: undefined,
    desc: 'Stores, comma-separated, where replies are kept for those who fetch them later; all at one database',
  }),
  MANAGEMENT_URL: httpUrl({
    default: undefined,
    desc: "RabbitMQ's management API, as http://rabbitmq:15672, with the user of AMQP_URL (tag management): so public-web knows who answers a type before anybody has, and names a service that does not run",
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
