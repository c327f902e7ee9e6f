import type { ConfirmChannel, Options } from 'amqplib';
import { UserError } from '../../../bin/plain/user-error.mjs';

const CONFIRM_TIMEOUT_MS = 10_000;

type Outgoing = { exchange: string; routingKey: string; body: Buffer; options: Options.Publish };

/**
 * What publishes on `channel`, persistent and mandatory, one message at a time: a returned one is known by its confirm, which
 * follows.
 */
export function createPublish(channel: ConfirmChannel) {
  let isReturned = false;
  channel.on('return', () => {
    isReturned = true;
  });

  /**
   * @returns 'refused': a queue that would take it is full
   * @throws UserError when the outcome is unknown
   */
  return async ({
    exchange,
    routingKey,
    body,
    options,
  }: Outgoing): Promise<'confirmed' | 'unroutable' | 'refused'> => {
    isReturned = false;
    const outcome = await new Promise<'confirmed' | 'refused'>((resolve, reject) => {
      const late = () => reject(new UserError('the broker did not confirm in time: an alarm may block it'));
      const timer = setTimeout(late, CONFIRM_TIMEOUT_MS);
      const always = { persistent: true, mandatory: true };
      channel.publish(exchange, routingKey, body, { ...options, ...always }, (error) => {
        clearTimeout(timer);
        if (!error) resolve('confirmed');
        else if (error.message === 'message nacked') resolve('refused');
        else reject(error);
      });
    });
    return isReturned ? 'unroutable' : outcome;
  };
}
