/**
 * Takes a listener service that will not come back away from the broker, or one type from a service: until then its queue
 * goes on to fill, and when it is full every event of its types is refused. Interrupted, it has lost nothing: run it again.
 * AMQP does not tell which types a queue is bound to, so those of which nothing waited are bound until it is deleted.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  EVENTS_EXCHANGE,
  OBSERVED_EXCHANGE,
  serviceQueues,
  typeBindings,
} from '@waybill/common/broker/amqp-topology.ts';
import {
  isObservers,
  RESERVED_SERVICES,
  RETRY_DELAYS_MS,
  WAIT_DELAYS_MS,
} from '@waybill/common/broker/topology.ts';
import type { ConfirmChannel } from 'amqplib';
import { interrupted, runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { type Connection, connectToBroker, toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { createPublish } from './publish-confirmed.ts';

const usage = `usage: node bin/retire-service.mjs <service> --to <service> | --discard | --type <type> [options]

  --to <service>   moves all that waits for the service to another one, and deletes its queues
  --discard        discards all that waits for the service, and deletes its queues
  --type <type>    only ends that events of this type go to the service; what waits stays, and its listeners hand on what
                   they have no handler for. May be repeated
  --amqp <url>     the broker, amqp://user:password@host:port/vhost or amqps: (default: AMQP_URL, the file that
                   AMQP_URL_FILE names, or amqp://guest:guest@localhost:5672)
  --help           print this

The service is the name that it gives in runListener: ping has the queue waybill.ping. What it observes is retired by itself,
as ping.observers. Stop all of its listeners first;
while one runs this refuses. With --type stop, or replace, those that have a handler for it: they bind it again within 2 s.

It takes 6 s at least. What comes in the very moment of the deletion is gone, and counted: end types that are still in use by
--type first.

What is moved keeps its deadline and its client, and its attempts are counted anew. What waits for a delay is moved as if it
had passed.`;

const SERVICE = /^[a-z0-9][a-z0-9-]{0,63}(\.observers)?$/;
const NOT_FOUND = 404;
/** The longest that a failed event waits to be retried, and a second to arrive; what waits for longer is taken from its queue. A listener reconnects sooner. */
const SETTLE_MS = Math.max(...RETRY_DELAYS_MS) + 1_000;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const connection = await connectToBroker(options.broker, 'retire-service');
  let channel: ConfirmChannel | undefined;
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

async function unbind(
  channel: ConfirmChannel,
  { service, types = [] }: { service: string; types?: string[] },
) {
  for (const type of types) {
    for (const { queue, exchange, routingKey } of typeBindings(service, type))
      await channel.unbindQueue(queue, exchange, routingKey);
    console.log(`events of type ${type} go to ${service} no longer`);
  }
}

async function retire(
  connection: Connection,
  channel: ConfirmChannel,
  { service, to }: { service: string; to?: string },
) {
  const { work, isolated, types, retry } = serviceQueues(service);
  const present: string[] = [];
  // What a message goes through last comes last: a retry queue gives it back to the work queue.
  for (const queue of [...WAIT_DELAYS_MS.map(retry), isolated, work])
    if (await look(connection, queue)) present.push(queue);
  await expectNoConsumers(connection, service);
  if (to && !(await look(connection, serviceQueues(to).work)))
    throw new UserError(`there is no service ${to} at this broker: start its listeners first`);
  // Nobody is told from now on that it takes its types.
  await channel.deleteQueue(types);
  if (present.length === 0) return console.error(`there are no queues of ${service} at this broker`);
  const publish = createPublish(channel);
  const emptyAll = async () => {
    let count = 0;
    for (const queue of present) count += await empty(channel, queue, to, publish);
    return count;
  };
  let moved = 0;
  // Until a round finds nothing that comes later than anything waits between two queues, or a listener to reconnect.
  for (let late = -1; late !== 0; moved += late) {
    moved += await emptyAll();
    await delay(SETTLE_MS);
    late = await emptyAll();
  }
  await expectNoConsumers(connection, service);
  let late = 0;
  for (const queue of present) late += (await channel.deleteQueue(queue)).messageCount;
  console.error(
    `${to ? `moved ${moved} messages to ${to}` : `discarded ${moved} messages`}; deleted ${present.join(', ')}`,
  );
  if (late > 0) console.error(`${late} messages came in the very moment of the deletion, and are gone`);
}

async function expectNoConsumers(connection: Connection, service: string) {
  const { work, isolated } = serviceQueues(service);
  for (const queue of [work, isolated]) {
    const count = (await look(connection, queue))?.consumerCount ?? 0;
    if (count > 0)
      throw new UserError(`${queue} has ${count} consumers: stop the listeners of ${service} first`);
  }
}

/** Takes all out of `queue`, and lets no more come of the types that it meets. */
async function empty(
  channel: ConfirmChannel,
  queue: string,
  to: string | undefined,
  publish: ReturnType<typeof createPublish>,
) {
  for (let count = 0; ; count += 1) {
    const message = await channel.get(queue);
    if (!message) return count;
    const { exchange, routingKey } = message.fields;
    if ([EVENTS_EXCHANGE, OBSERVED_EXCHANGE].includes(exchange))
      await channel.unbindQueue(queue, exchange, routingKey);
    if (to) {
      const { contentType } = message.properties;
      const work = serviceQueues(to).work;
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

/** On a channel of its own, which the broker closes when there is no such queue. */
async function look({ model }: Connection, queue: string) {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    const found = await channel.checkQueue(queue);
    await channel.close();
    return found;
  } catch (error) {
    if ((error as { code?: number }).code === NOT_FOUND) return undefined;
    throw error;
  }
}

function readOptions() {
  const { values, positionals } = parse();
  const { help = false, to, discard, type: types, amqp } = values;
  const [service = '', ...rest] = positionals;
  if (!help) {
    for (const name of [service, to ?? service])
      if (!SERVICE.test(name) || RESERVED_SERVICES.includes(name))
        throw new UserError('name a listener service; see --help');
    if (isObservers(service) !== isObservers(to ?? service))
      throw new UserError('observers are moved to observers, and other services to others; see --help');
    if (rest.length > 0 || to === service)
      throw new UserError('name one service, and another one to move to; see --help');
    if ([to, discard, types].filter((value) => value !== undefined).length !== 1)
      throw new UserError('give one of --to, --discard and --type; see --help');
  }
  return { help, service, to, types, broker: toBroker(amqp ?? readBrokerUrl(process.env)) };
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
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
