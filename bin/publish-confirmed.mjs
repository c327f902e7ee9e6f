import { UserError } from './user-error.mjs';

const CONFIRM_TIMEOUT_MS = 10_000;

/** @typedef {{ exchange: string, routingKey: string, body: Buffer, options: import('amqplib').Options.Publish }} Outgoing */

/**
 * What publishes on `channel`, persistent and mandatory, one message at a time: a returned one is known by its confirm, which
 * follows.
 *
 * @param {import('amqplib').ConfirmChannel} channel
 */
export function createPublish(channel) {
  let isReturned = false;
  channel.on('return', () => {
    isReturned = true;
  });

  /**
   * @param {Outgoing} message
   * @returns {Promise<'confirmed' | 'unroutable' | 'refused'>} 'refused': a queue that would take it is full
   * @throws {UserError} when the outcome is unknown
   */
  return async ({ exchange, routingKey, body, options }) => {
    isReturned = false;
    const outcome = await new Promise((resolve, reject) => {
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
