import type { Route } from '@waybill/common/broker/amqp-route.ts';
import type { OutgoingMessage } from '@waybill/common/broker/ports.ts';
import { decodeProperties, encodeProperties } from '../codec/properties.ts';
import { type Field, type Table, text } from '../codec/table.ts';
import type { Message } from '../message.ts';

const PERSISTENT = 2;
/** AMQP 0-9-1, section 4.2.5.3: a short string has no more bytes. */
const MAX_NAME_BYTES = 255;

/** A message as the broker keeps it, or undefined where it has no form there. */
export function toStored(
  { contentType, headers = {}, body }: Omit<OutgoingMessage, 'to'>,
  { exchange, routingKey }: Route,
  messageId: string,
): Message | undefined {
  const names = [exchange, routingKey, contentType, ...Object.keys(headers)];
  if (names.some((name) => Buffer.byteLength(name) > MAX_NAME_BYTES)) return undefined;
  const table: Table = new Map(Object.entries(headers).map(([name, value]) => [name, toField(value)]));
  return {
    ...{ exchange, routingKey },
    properties: encodeProperties({ contentType, headers: table, deliveryMode: PERSISTENT, messageId }),
    // The publisher may use the bytes for something else.
    body: Buffer.from(body),
  };
}

export type ReadMessage = {
  contentType: string;
  headers: Record<string, unknown>;
  messageId: string | undefined;
  isPersistent: boolean;
  body: Buffer;
};

/** What is in a message, read. */
export function fromStored({ properties, body }: Message): ReadMessage {
  const { contentType = '', headers = new Map(), messageId, deliveryMode } = decodeProperties(properties);
  return {
    contentType,
    headers: toObject(headers),
    messageId,
    isPersistent: deliveryMode === PERSISTENT,
    body,
  };
}

function toField(value: string | number): Field {
  return typeof value === 'string' ? text(value) : { type: 'd', value };
}

function toObject(table: Table): Record<string, unknown> {
  return Object.fromEntries([...table].map(([name, field]) => [name, toValue(field)]));
}

/** As clients read it: bytes are text, and integers of 64 bits numbers. */
function toValue({ type, value }: Field): unknown {
  switch (type) {
    case 'S':
      return String(value);
    case 'l':
    case 'T':
      return Number(value);
    case 'A':
      return value.map(toValue);
    case 'F':
      return toObject(value);
    default:
      return value;
  }
}
