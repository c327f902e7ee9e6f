/** What happens to a published message, in order: checks, routing, a return if it is unroutable, the confirm. */
import { AmqpError } from '../amqp-error.ts';
import { decodeProperties, encodeProperties, type Properties } from '../codec/properties.ts';
import type { Message } from '../message.ts';
import { MAX_TIME_TO_LIVE_MS } from '../queue-settings.ts';
import type { Published } from './assemble.ts';
import type { Channel } from './channel.ts';
import { isReplyAddress, REPLY_TO, replyAddressOf } from './direct-reply.ts';

export function publish(channel: Channel, { fields, properties: encoded, body }: Published): void {
  const { exchange, routingKey, mandatory } = fields;
  if (fields.immediate) throw new AmqpError('NOT_IMPLEMENTED', 'immediate=true');
  if (exchange !== '' && channel.vhost.exchange(exchange).isInternal)
    throw new AmqpError(
      'ACCESS_REFUSED',
      `cannot publish to internal ${channel.vhost.describe('exchange', exchange)}`,
    );
  const properties = decodeProperties(encoded);
  const expirationMs = readExpiration(properties.expiration);
  expectOwnUser(properties.userId, channel.connection.user);

  const message = { exchange, routingKey, properties: passedOn(channel, properties, encoded), body };
  const { isRouted, isAccepted } =
    isReplyAddress(routingKey) && exchange === ''
      ? reply(channel, message)
      : channel.vhost.publish(message, { headers: properties.headers, expirationMs });
  if (!isRouted && mandatory)
    channel.sendMessage(
      'basic.return',
      { replyCode: 312, replyText: 'NO_ROUTE', exchange, routingKey },
      message,
    );
  channel.confirms.settle(isAccepted);
}

function readExpiration(expiration: string | undefined): number | undefined {
  if (expiration === undefined) return undefined;
  const expirationMs = /^\d+$/.test(expiration) ? Number(expiration) : Number.NaN;
  if (expirationMs <= MAX_TIME_TO_LIVE_MS) return expirationMs;
  throw new AmqpError('PRECONDITION_FAILED', `invalid expiration '${expiration}'`);
}

function expectOwnUser(userId: string | undefined, user: string): void {
  if (userId === undefined || userId === user) return;
  throw new AmqpError(
    'PRECONDITION_FAILED',
    `user_id property set to '${userId}' but authenticated user was '${user}'`,
  );
}

/** The properties as consumers see them: with a true reply address, and without the blind copies. */
function passedOn(channel: Channel, properties: Properties, encoded: Buffer): Buffer {
  const { headers, replyTo } = properties;
  const isRequest = replyTo === REPLY_TO;
  if (!isRequest && !headers?.has('BCC')) return encoded;
  return encodeProperties({
    ...properties,
    ...(isRequest && { replyTo: replyAddressOf(channel) }),
    ...(headers && { headers: new Map([...headers].filter(([name]) => name !== 'BCC')) }),
  });
}

function reply({ vhost }: Channel, message: Message): { isRouted: boolean; isAccepted: boolean } {
  const deliver = vhost.replyConsumers.get(message.routingKey);
  deliver?.(message);
  return { isRouted: deliver !== undefined, isAccepted: true };
}
