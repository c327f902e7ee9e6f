import { decodeProperties, encodeProperties, type Properties } from './codec/properties.ts';
import { type Field, integer, type Table, textOf } from './codec/table.ts';

/** A published message. It may be in several queues at once, so nobody changes it. */
export type Message = {
  exchange: string;
  routingKey: string;
  /** As they were on the wire: most are passed on unread. */
  properties: Buffer;
  body: Buffer;
};

/** One message in one queue. */
export type QueuedMessage = {
  message: Message;
  /** Its place, the lowest first: a message that is requeued goes back there. */
  position: number;
  /** The time of the queue's clock at which it is dead-lettered, unless it is delivered before. */
  expiresAtMs: number;
  isRedelivered: boolean;
  /** How often it was delivered before; told and limited on quorum queues. */
  deliveryCount: number;
};

/** What a message holds of memory, with a guess at the objects around its bytes. */
export function sizeOfMessage({ body, properties }: Message): number {
  return body.length + properties.length + 400;
}

/** Where a message is to go: its routing key, and the keys that its `CC` and `BCC` headers add. */
export function routingKeysOf(message: Message, headers: Table | undefined): string[] {
  return [message.routingKey, ...textsOf(headers?.get('CC')), ...textsOf(headers?.get('BCC'))];
}

/** The texts in an array field. */
export function textsOf(field: Field | undefined): string[] {
  return field?.type === 'A' ? field.value.flatMap((item) => textOf(item) ?? []) : [];
}

/** The same properties with other headers. */
export function withHeaders(properties: Properties, headers: Table): Buffer {
  return encodeProperties({ ...properties, headers });
}

/** The properties to deliver a message with: a quorum queue says how often it did before. */
export function deliveredProperties({ message, deliveryCount }: QueuedMessage, isCountTold: boolean): Buffer {
  if (!isCountTold) return message.properties;
  const properties = decodeProperties(message.properties);
  const headers = new Map(properties.headers).set('x-delivery-count', integer(deliveryCount));
  return withHeaders(properties, headers);
}
