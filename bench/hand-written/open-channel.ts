import { type Channel, type ConfirmChannel, connect, type Options } from 'amqplib';
import type { Guarantee } from './guarantees.ts';

/** Most deliveries that wait for an ack, as Waybill's listeners have it. */
const PREFETCH = 256;

export type Publisher = {
  channel: Channel;
  /** Resolves when the broker has stored it, without confirms when it is written. */
  publish(queue: string, body: Buffer, options: Options.Publish): Promise<void>;
};

/** Opens a channel on the broker of AMQP_URL, with the queue of requests declared. */
export async function openChannel({ requests, isDurable, isConfirmed }: Guarantee): Promise<Publisher> {
  const connection = await connect(process.env.AMQP_URL as string, { noDelay: true });
  const channel = isConfirmed ? await connection.createConfirmChannel() : await connection.createChannel();
  await channel.assertQueue(requests.queue, requests.options);
  await channel.prefetch(PREFETCH);
  return {
    channel,
    publish: (queue, body, options) =>
      isConfirmed
        ? confirm(channel as ConfirmChannel, queue, body, { ...options, persistent: true, mandatory: true })
        : Promise.resolve(void channel.sendToQueue(queue, body, { ...options, persistent: isDurable })),
  };
}

function confirm(
  channel: ConfirmChannel,
  queue: string,
  body: Buffer,
  options: Options.Publish,
): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.sendToQueue(queue, body, options, (error) => (error ? reject(error) : resolve()));
  });
}
