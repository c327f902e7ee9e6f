/**
 * The queue of dead letters, as one operator at a time sees it.
 *
 * Messages are taken unacked, so whatever ends this program gives them back. But a quorum queue counts that: from
 * RabbitMQ 4.0 it drops a message that was given back more than 20 times, where the queue sets no limit, and this one
 * must keep its arguments. So a message that was given back often is renewed: a copy is published to the queue and
 * confirmed, and only then the worn one is acked.
 *
 * Messages that one program holds are hidden from every other, which would report them as gone. So a lock admits one
 * at a time: a queue exclusive to the connection, which ends with it in any case.
 */
import { DEAD_LETTERS_QUEUE as QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import type { Channel, ConfirmChannel, GetMessage } from 'amqplib';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { type Broker, type Connection, connectToBroker } from './broker-connection.ts';
import { createPublish } from './publish-confirmed.ts';
import { deathHeaders } from './read-dead-letter.ts';

const LOCK = `${QUEUE}.lock`;

/** Half of RabbitMQ's limit: the other half is for programs that are killed before they have renewed anything. */
const RENEW_AT = 10;
const LOCK_TIMEOUT_MS = 5_000;
const LOCK_RETRY_MS = 250;
const RESOURCE_LOCKED = 405;
const NOT_FOUND = 404;

export type DeadLetterQueue = Awaited<ReturnType<typeof openDeadLetterQueue>>;

/**
 * @throws UserError when the broker cannot be reached, there is no such queue, or another program is at it
 */
export async function openDeadLetterQueue(broker: Broker) {
  const connection = await connectToBroker(broker, 'dead-letters');
  try {
    await lock(connection);
    const channel = await openChannel(connection);
    const total = await countMessages(channel);
    return { total, ...operations(connection, channel, total) };
  } catch (error) {
    const explained = connection.explain(error);
    await connection.close();
    throw explained;
  }
}

function operations(connection: Connection, channel: ConfirmChannel, total: number) {
  const publish = createPublish(channel);

  async function renew(message: GetMessage) {
    const outcome = await publish({
      exchange: '',
      routingKey: QUEUE,
      body: message.content,
      options: renewedOptions(message),
    });
    if (outcome !== 'confirmed')
      throw new UserError(`${QUEUE} takes no messages: the broker says ${outcome}`);
    channel.ack(message);
  }

  return {
    /** Takes what was there at the start, each once and unacked; ends early when `signal` aborts. */
    async *take(signal: AbortSignal) {
      for (let left = total; left > 0 && !signal.aborted; ) {
        const message = await channel.get(QUEUE);
        if (!message) return;
        if (Number(message.properties.headers?.['x-delivery-count'] ?? 0) >= RENEW_AT) {
          await renew(message); // and meet the copy later
          continue;
        }
        left -= 1;
        yield message;
      }
    },

    publish,
    explain: connection.explain,

    /** @param message one that was taken */
    remove: (message: Pick<GetMessage, 'fields'>) => channel.ack(message as GetMessage),

    /** Resolves when the broker has heard of all removals. */
    async removed() {
      await channel.checkQueue(QUEUE);
    },

    /** Gives back what was taken and not removed. Never rejects. */
    async close() {
      try {
        channel.nackAll(true);
      } catch {
        // The channel is gone, and all of it is given back already.
      }
      await connection.close(channel);
    },
  };
}

/**
 * What a renewed message carries. Left out is what the broker would act on: a lifetime, further routing keys, the
 * user's name. What it said of the message's death goes into headers of ours, as it need not take `x-death` from us.
 */
function renewedOptions({ properties }: GetMessage) {
  const { contentType, contentEncoding, messageId, correlationId, timestamp, type, appId } = properties;
  const { CC, BCC, 'x-delivery-count': _, ...kept } = properties.headers ?? {};
  const headers = { ...kept, ...deathHeaders(kept) };
  return { contentType, contentEncoding, messageId, correlationId, timestamp, type, appId, headers };
}

async function lock(connection: Connection) {
  const giveUpAt = Date.now() + LOCK_TIMEOUT_MS;
  while (!(await tryLock(connection))) {
    if (Date.now() >= giveUpAt)
      throw new UserError(
        'another bin/dead-letters.mjs is at work at this broker: try again when it has ended',
      );
    await new Promise((resolve) => setTimeout(resolve, LOCK_RETRY_MS));
  }
}

async function tryLock({ model, onBroken }: Connection) {
  const channel = await model.createChannel();
  channel.on('error', (error) => {
    if ((error as { code?: number }).code !== RESOURCE_LOCKED) onBroken(error);
  });
  try {
    await channel.assertQueue(LOCK, {
      exclusive: true,
      durable: false,
      arguments: { 'x-queue-type': 'classic' },
    });
    return true;
  } catch (error) {
    if ((error as { code?: number }).code === RESOURCE_LOCKED) return false;
    throw error;
  }
}

async function openChannel({ model, onBroken }: Connection) {
  const channel = await model.createConfirmChannel();
  channel.on('error', onBroken);
  return channel;
}

async function countMessages(channel: Channel) {
  try {
    return (await channel.checkQueue(QUEUE)).messageCount;
  } catch (error) {
    if ((error as { code?: number }).code !== NOT_FOUND) throw error;
    throw new UserError(`there is no queue ${QUEUE}: no service of Waybill has been at this broker`);
  }
}
