#!/usr/bin/env node
/**
 * Takes a listener service that will not come back away from the broker, or one type from a service: until then its queue
 * goes on to fill, and when it is full every event of its types is refused. Nothing is lost that was not to be discarded,
 * whatever ends it: run it again. Runs on any Node from 20 up, with the packages of `npm ci`.
 */
import { parseArgs } from 'node:util';
import { connectToBroker, defaultBrokerUrl, toBroker } from './broker-connection.mjs';
import { createPublish } from './publish-confirmed.mjs';
import { interrupted, runProgram, UserError } from './user-error.mjs';

const usage = `usage: node bin/retire-service.mjs <service> --to <service> | --discard | --type <type> [options]

  --to <service>   moves all that waits for the service to another one, and deletes its queues
  --discard        discards all that waits for the service, and deletes its queues
  --type <type>    only ends that events of this type go to the service; what waits stays, and its listeners hand on what
                   they have no handler for. May be repeated
  --amqp <url>     the broker, amqp://user:password@host:port/vhost or amqps: (default: AMQP_URL, the file that
                   AMQP_URL_FILE names, or amqp://guest:guest@localhost:5672)
  --help           print this

The service is the name that it gives in runListener: ping has the queue waybill.ping. Stop all of its listeners first;
while one runs this refuses. With --type stop, or replace, those that have a handler for it: they bind it again within 2 s.

What is moved keeps its deadline and its client, and its attempts are counted anew.`;

/** As in packages/common/src/broker/amqp-topology.ts, which only runs on a newer Node. */
const EVENTS_EXCHANGE = 'waybill.events';
const TYPES_EXCHANGE = 'waybill.types';
/** @param {string} service */
const queuesOf = (service) => {
  const work = `waybill.${service}`;
  const consumed = [work, `${work}.isolated`];
  const retry = [200, 1_000, 5_000].map((ms) => `${work}.retry.${ms}`);
  return { work, types: `${work}.types`, consumed, all: [...consumed, ...retry] };
};

const SERVICE = /^[a-z0-9][a-z0-9-]{0,63}$/;
/** Waybill's own queues. */
const NO_SERVICES = ['replies', 'dead-letters'];
const NOT_FOUND = 404;

/** @typedef {import('./broker-connection.mjs').Connection} Connection */
/** @typedef {import('amqplib').ConfirmChannel} Channel */

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const connection = await connectToBroker(options.broker, 'retire-service');
  /** @type {Channel | undefined} */
  let channel;
  try {
    channel = await connection.model.createConfirmChannel();
    channel.on('error', connection.onBroken);
    await Promise.race([
      interrupted(),
      options.types ? unbind(channel, options) : retire(connection, channel, options),
    ]);
  } catch (error) {
    throw connection.explain(error);
  } finally {
    await connection.close(channel);
  }
});

/**
 * @param {Channel} channel
 * @param {{ service: string, types?: string[] }} options
 */
async function unbind(channel, { service, types = [] }) {
  const { work, types: declared } = queuesOf(service);
  for (const type of types) {
    await channel.unbindQueue(work, EVENTS_EXCHANGE, type);
    await channel.unbindQueue(declared, TYPES_EXCHANGE, type);
    console.log(`events of type ${type} go to ${service} no longer`);
  }
}

/**
 * @param {Connection} connection
 * @param {Channel} channel
 * @param {{ service: string, to?: string }} options
 */
async function retire(connection, channel, { service, to }) {
  const { types, consumed, all } = queuesOf(service);
  /** @type {string[]} */
  const present = [];
  for (const queue of all) {
    const found = await look(connection, queue);
    if (!found) continue;
    present.push(queue);
    if (consumed.includes(queue) && found.consumerCount > 0)
      throw new UserError(
        `${queue} has ${found.consumerCount} consumers: stop the listeners of ${service} first`,
      );
  }
  if (to && !(await look(connection, queuesOf(to).work)))
    throw new UserError(`there is no service ${to} at this broker: start its listeners first`);
  // Nobody is told from now on that it takes its types.
  await channel.deleteQueue(types);
  if (present.length === 0) return console.error(`there are no queues of ${service} at this broker`);
  const publish = createPublish(channel);
  let moved = 0;
  // Until a whole round finds nothing: what waits in a retry queue expires into the work queue meanwhile.
  for (let before = -1; before !== moved; ) {
    before = moved;
    for (const queue of present) moved += await empty(channel, queue, to, publish);
  }
  let late = 0;
  for (const queue of present) late += (await channel.deleteQueue(queue)).messageCount;
  console.error(
    `${to ? `moved ${moved} messages to ${to}` : `discarded ${moved} messages`}; deleted ${present.join(', ')}`,
  );
  if (late > 0) console.error(`${late} messages came in the very moment of the deletion, and are gone`);
}

/**
 * Takes all out of `queue`, and lets no more come of the types that it meets.
 *
 * @param {Channel} channel
 * @param {string} queue
 * @param {string | undefined} to
 * @param {ReturnType<typeof createPublish>} publish
 */
async function empty(channel, queue, to, publish) {
  for (let count = 0; ; count += 1) {
    const message = await channel.get(queue);
    if (!message) return count;
    const { exchange, routingKey } = message.fields;
    if (exchange === EVENTS_EXCHANGE) await channel.unbindQueue(queue, EVENTS_EXCHANGE, routingKey);
    if (to) {
      const { contentType } = message.properties;
      const work = queuesOf(to).work;
      const outcome = await publish({
        exchange: '',
        routingKey: work,
        body: message.content,
        options: { contentType },
      });
      if (outcome !== 'confirmed') throw new UserError(`${work} takes no more: the broker says ${outcome}`);
    }
    channel.ack(message);
  }
}

/**
 * On a channel of its own, which the broker closes when there is no such queue.
 *
 * @param {Connection} connection
 * @param {string} queue
 */
async function look({ model }, queue) {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    const found = await channel.checkQueue(queue);
    await channel.close();
    return found;
  } catch (error) {
    if (/** @type {{ code?: number }} */ (error).code === NOT_FOUND) return undefined;
    throw error;
  }
}

function readOptions() {
  const { values, positionals } = parse();
  const { help = false, to, discard, type: types, amqp } = values;
  const [service = '', ...rest] = positionals;
  if (!help) {
    for (const name of [service, to ?? service])
      if (!SERVICE.test(name) || NO_SERVICES.includes(name))
        throw new UserError('name a listener service; see --help');
    if (rest.length > 0 || to === service)
      throw new UserError('name one service, and another one to move to; see --help');
    if ([to, discard, types].filter((value) => value !== undefined).length !== 1)
      throw new UserError('give one of --to, --discard and --type; see --help');
  }
  return { help, service, to, types, broker: toBroker(amqp ?? defaultBrokerUrl(process.env)) };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        discard: { type: 'boolean' },
        type: { type: 'string', multiple: true },
        amqp: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UserError(`${/** @type {Error} */ (error).message.split('. ')[0]}; see --help`);
  }
}
