/** Puts a message together: the publish, its header, its body in as many frames as it takes (AMQP 0-9-1, 4.2.6). */
import { AmqpError } from '../amqp-error.ts';
import { BASIC_CLASS } from '../codec/frames.ts';
import type { Fields } from '../codec/spec.ts';
import { createReader, readLongLong, readShort } from '../codec/wire.ts';

/** As RabbitMQ 3.x. */
const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;

export type Published = { fields: Fields<'basic.publish'>; properties: Buffer; body: Buffer };

export type Assembler = {
  /** Whether a message is under way, so that no other method may come. */
  isBusy(): boolean;
  begin(fields: Fields<'basic.publish'>): void;
  /** Both return the message once it is whole. */
  header(payload: Buffer): Published | undefined;
  body(payload: Buffer): Published | undefined;
};

export function createAssembler(): Assembler {
  let fields: Fields<'basic.publish'> | undefined;
  let properties: Buffer | undefined;
  let parts: Buffer[] = [];
  let missingBytes = 0;

  function published(): Published | undefined {
    if (!fields || !properties || missingBytes > 0) return undefined;
    // Copies, so that a small message does not hold the whole read from the socket that brought it.
    const whole = { fields, properties, body: Buffer.concat(parts) };
    [fields, properties, parts] = [undefined, undefined, []];
    return whole;
  }

  return {
    isBusy: () => fields !== undefined,
    begin(value) {
      fields = value;
    },
    header(payload) {
      if (!fields || properties)
        throw new AmqpError('UNEXPECTED_FRAME', 'content header without a method before');
      const reader = createReader(payload);
      const classId = readShort(reader);
      readShort(reader); // weight, unused
      missingBytes = readLongLong(reader);
      if (classId !== BASIC_CLASS)
        throw new AmqpError(
          'UNEXPECTED_FRAME',
          `content header of class ${classId}, ${BASIC_CLASS} expected`,
        );
      if (missingBytes > MAX_MESSAGE_BYTES)
        throw new AmqpError(
          'PRECONDITION_FAILED',
          `message size ${missingBytes} is larger than configured max size ${MAX_MESSAGE_BYTES}`,
        );
      properties = Buffer.from(payload.subarray(reader.offset));
      return published();
    },
    body(payload) {
      if (!properties) throw new AmqpError('UNEXPECTED_FRAME', 'content body without a header before');
      if (payload.length > missingBytes)
        throw new AmqpError('UNEXPECTED_FRAME', 'content body longer than announced');
      parts.push(payload);
      missingBytes -= payload.length;
      return published();
    },
  };
}
