import {
  amqpUrl,
  httpUrl,
  httpUrls,
  integer,
  loadConfig,
  logLevel,
  makeExactValidator,
  maxEventBytes,
  port,
  secrets,
  str,
} from '@waybill/common/config.ts';

/** How many deliveries may be unacked at once; AMQP counts them in 16 bits. */
const prefetch = makeExactValidator<number>((text) => integer(text, 1, 65_535));

/** Settings of every listener. */
export const listenerSettings = {
  HOST: str({ default: '127.0.0.1', desc: 'Address the health port binds to' }),
  HEALTH_PORT: port({
    default: 0,
    desc: 'Port of /health/live and /health/ready; default: a free one, which the line `listening` names',
  }),
  AMQP_URL: amqpUrl({ desc: 'The broker: amqp://user:password@host:port/vhost, or amqps://' }),
  MANAGEMENT_URL: httpUrl({
    default: undefined,
    desc: "RabbitMQ's management API, as http://rabbitmq:15672, with the user of AMQP_URL (tag management): at start the log names the queues bound to this service's types that nobody consumes",
  }),
  CONCURRENCY: prefetch({
    default: 64,
    desc: 'Most events handled at once, and most messages taken from the broker',
  }),
  MAX_EVENT_BYTES: maxEventBytes(),
  LOG_LEVEL: logLevel(),
};

/** Settings of a listener that keeps results of events in a store (`createStoredResults`). */
export const resultsSettings = {
  STORE_URLS: httpUrls({ desc: 'Stores, comma-separated; all at one database' }),
  RESULTS_SECRETS: secrets({
    desc: 'One secret of at least 32 characters, or two while rotating, as RESULTS_SECRETS of the store: the first signs',
  }),
};

/** Reads and checks them; throws one error that names every fault. */
export function loadResultsConfig(env?: NodeJS.ProcessEnv): { urls: string[]; secrets: string[] } {
  const { STORE_URLS: urls, RESULTS_SECRETS } = loadConfig(resultsSettings, env);
  return { urls, secrets: RESULTS_SECRETS };
}

/** Reads and checks the settings; throws one error that names every fault. */
export const loadListenerConfig = (env?: NodeJS.ProcessEnv) => loadConfig(listenerSettings, env);

/** The settings of a listener, as read. */
export type ListenerConfig = ReturnType<typeof loadListenerConfig>;
