/**
 * Takes a listener service that will not come back away from the broker, or one type from a service: until then its queue
 * goes on to fill, and when it is full every event of its types is refused. Interrupted, it has lost nothing: run it again.
 * AMQP does not tell which types a queue is bound to, so those of which nothing waited are bound until it is deleted.
 */
import { EventEmitter, on } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  allBindings,
  EVENTS_EXCHANGE,
  OBSERVED_EXCHANGE,
  serviceQueues,
} from '@waybill/common/broker/amqp-topology.ts';
import {
  isObservers,
  PARTITIONS,
  RESERVED_SERVICES,
  RETRY_DELAYS_MS,
  WAIT_DELAYS_MS,
} from '@waybill/common/broker/topology.ts';
import type { Channel, ConfirmChannel, Message } from 'amqplib';
import { interrupted, runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { type Connection, connectToBroker, toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { createPublish } from './publish-confirmed.ts';

const usage = `usage: node bin/retire-service.mjs <service> --to <service> | --discard | --partitions | --type <type> [options]

  --to <service>   moves all that waits for the service to another one, and deletes its queues
  --discard        discards all that waits for the service, and deletes its queues
  --partitions     only ends its order, when no handler of it is ordered any more: moves what waits in its partitions to its
                   work queue, and deletes them
  --type <type>    only ends that events of this type go to the service; what waits stays, and its listeners hand on what
                   they have no handler for. May be repeated
  --amqp <url>     the broker, amqp://user:password@host:port/vhost or amqps: (default: AMQP_URL, the file that
                   AMQP_URL_FILE names, or amqp://guest:guest@localhost:5672)
  --help           print this

The service is the name that it gives in runListener: ping has the queue waybill.ping. What it observes is retired by itself,
as ping.observers. Stop all of its listeners first
(with --partitions those that have an ordered handler); while one runs this refuses. With --type stop, or replace, those that have a handler for it: they bind it again within 2 s.

It takes 6 s at least. What comes in the very moment of the deletion is gone, and counted: end types that are still in use by
--type first.

What is moved keeps its deadline and its client, and its attempts are counted anew. What waits for a delay is moved as if it
had passed.`;

const SERVICE = /^[a-z0-9][a-z0-9-]{0,63}(\.observers)?$/;
const PARTITION = /\.p\d+$/;
const NOT_FOUND = 404;
/** All that wait in a partition; what has not come by then ends the program, which may be run again. */
const ARRIVE_MS = 10 * 60_000;
/** Messages of a partition that are in hand at once: it may hold any number. */
const PREFETCH = 100;
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
    for (const { queue, exchange, routingKey } of allBindings(service, type))
      await channel.unbindQueue(queue, exchange, routingKey);
    console.log(`events of type ${type} go to ${service} no longer`);
  }
}

async function retire(
  connection: Connection,
  channel: ConfirmChannel,
  { service, to, isOrderOnly }: { service: string; to?: string; isOrderOnly: boolean },
) {
  const { work, isolated, types, retry, partition } = serviceQueues(service);
  const present: string[] = [];
  // What a message goes through last comes last: a retry queue gives it back to the work queue, which sends on to a partition.
  const own = isOrderOnly ? [] : [...WAIT_DELAYS_MS.map(retry), isolated, work];
  for (const queue of [...own, ...PARTITIONS.map(partition)])
    if (await look(connection, queue)) present.push(queue);
  const consumed = present.filter((queue) => !queue.includes('.retry.'));
  await expectNoConsumers(connection, service, consumed);
  if (to && !(await look(connection, serviceQueues(to).work)))
    throw new UserError(`there is no service ${to} at this broker: start its listeners first`);
  // Nobody is told from now on that it takes its types.
  if (!isOrderOnly) await channel.deleteQueue(types);
  if (present.length === 0) return console.error(`there are no queues of ${service} at this broker`);
  const publish = createPublish(channel);
  const emptyAll = async () => {
    let count = 0;
    for (const queue of present) count += await empty(connection, queue, to, publish);
    return count;
  };
  let moved = 0;
  // Until a round finds nothing that comes later than anything waits between two queues, or a listener to reconnect.
  for (let late = -1; late !== 0; moved += late) {
    moved += await emptyAll();
    await delay(SETTLE_MS);
    late = await emptyAll();
  }
  await expectNoConsumers(connection, service, consumed);
  let late = 0;
  for (const queue of present) late += (await channel.deleteQueue(queue)).messageCount;
  console.error(
    `${to ? `moved ${moved} messages to ${to}` : `discarded ${moved} messages`}; deleted ${present.join(', ')}`,
  );
  if (late > 0) console.error(`${late} messages came in the very moment of the deletion, and are gone`);
}

async function expectNoConsumers(connection: Connection, service: string, queues: string[]) {
  for (const queue of queues) {
    const count = (await look(connection, queue))?.consumerCount ?? 0;
    if (count > 0)
      throw new UserError(`${queue} has ${count} consumers: stop the listeners of ${service} first`);
  }
}

/**
 * Takes out of `queue` all that waits, and lets no more come of the types that it meets. On a channel of its own, which gives
 * back what it has not come to when it closes: what a channel holds the broker does not count as waiting, and
 * deletes with its queue.
 */
async function empty(
  { model, onBroken }: Connection,
  queue: string,
  to: string | undefined,
  publish: ReturnType<typeof createPublish>,
) {
  const channel = await model.createChannel();
  channel.on('error', onBroken);
  let count = 0;
  try {
    for await (const message of messagesOf(channel, queue)) {
      count += 1;
      const { exchange, routingKey } = message.fields;
      if ([EVENTS_EXCHANGE, OBSERVED_EXCHANGE].includes(exchange))
        await channel.unbindQueue(queue, exchange, routingKey);
      if (to) await move(message, serviceQueues(to).work, publish);
      channel.ack(message);
    }
  } finally {
    await channel.close().catch(onBroken);
  }
  return count;
}

async function move(
  { properties, content }: Message,
  queue: string,
  publish: ReturnType<typeof createPublish>,
) {
  const { contentType } = properties;
  const outcome = await publish({ exchange: '', routingKey: queue, body: content, options: { contentType } });
  if (outcome !== 'confirmed') throw new UserError(`${queue} takes no more: the broker says ${outcome}`);
}

/**
 * What is there, one by one. RabbitMQ has no `get` for a queue of one consumer at a time; what comes while it is consumed
 * stays with `channel`.
 */
async function* messagesOf(channel: Channel, queue: string): AsyncGenerator<Message> {
  if (!PARTITION.test(queue)) {
    for (let message = await channel.get(queue); message; message = await channel.get(queue)) yield message;
    return;
  }
  const { messageCount } = await channel.checkQueue(queue);
  if (messageCount === 0) return;
  const arrivals = new EventEmitter();
  const messages = on(arrivals, 'message', { signal: AbortSignal.timeout(ARRIVE_MS) });
  await channel.prefetch(PREFETCH);
  await channel.consume(queue, (message) => void arrivals.emit('message', message));
  for (let left = messageCount; left > 0; left -= 1) yield (await messages.next()).value?.[0];
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
  const { help = false, discard, partitions: isOrderOnly = false, type: types, amqp } = values;
  const [service = '', ...rest] = positionals;
  if (!help) {
    const { to } = values;
    for (const name of [service, to ?? service])
      if (!SERVICE.test(name) || RESERVED_SERVICES.includes(name))
        throw new UserError('name a listener service; see --help');
    if (isObservers(service) !== isObservers(to ?? service))
      throw new UserError('observers are moved to observers, and other services to others; see --help');
    if (rest.length > 0 || to === service)
      throw new UserError('name one service, and another one to move to; see --help');
    if ([to, discard, values.partitions, types].filter((value) => value !== undefined).length !== 1)
      throw new UserError('give one of --to, --discard, --partitions and --type; see --help');
  }
  const to = isOrderOnly ? service : values.to;
  return { help, service, to, isOrderOnly, types, broker: toBroker(amqp ?? readBrokerUrl(process.env)) };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        to: { type: 'string' },
        discard: { type: 'boolean' },
        partitions: { type: 'boolean' },
        type: { type: 'string', multiple: true },
        amqp: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
