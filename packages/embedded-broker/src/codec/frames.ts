/** Frames to and from bytes (AMQP 0-9-1, section 4.2.3): type, channel, size, payload, end octet. */
import { AmqpError } from '../amqp-error.ts';
import { writeMethod } from './method.ts';
import type { Fields, MethodName } from './spec.ts';
import { encode, reserve, type Writer, writeLong, writeLongLong, writeOctet, writeShort } from './wire.ts';

export const METHOD_FRAME = 1;
export const HEADER_FRAME = 2;
export const BODY_FRAME = 3;
export const HEARTBEAT_FRAME = 8;
/** The bytes of a frame around its payload. */
export const FRAME_OVERHEAD_BYTES = 8;
/** Every message is of this class. */
export const BASIC_CLASS = 60;

const HEADER_BYTES = 7;
const END_OCTET = 0xce;
const FRAME_TYPES: number[] = [METHOD_FRAME, HEADER_FRAME, BODY_FRAME, HEARTBEAT_FRAME];

export type Frame = { type: number; channelId: number; payload: Buffer };

export type FrameReader = {
  push(chunk: Buffer): void;
  /** The next `length` bytes as they are, once they are all there. */
  raw(length: number): Buffer | undefined;
  /** The next frame, once it is all there. Throws `FRAME_ERROR` as soon as it cannot become one. */
  next(maxFrameBytes: number): Frame | undefined;
};

/** Takes bytes as they come from a socket, in pieces of any size, and gives frames. */
export function createFrameReader(): FrameReader {
  let chunks: Buffer[] = [];
  let length = 0;
  let needed = 0;

  /** All there is in one piece, which is made only when it is of use: a frame may come octet by octet. */
  function peek(): Buffer {
    if (chunks.length > 1) chunks = [Buffer.concat(chunks, length)];
    return chunks[0] as Buffer;
  }

  function raw(count: number): Buffer | undefined {
    if (length < count) return undefined;
    const bytes = peek();
    length -= count;
    chunks = length > 0 ? [bytes.subarray(count)] : [];
    return bytes.subarray(0, count);
  }

  return {
    push(chunk) {
      chunks.push(chunk);
      length += chunk.length;
    },
    raw,
    next(maxFrameBytes) {
      if (length < Math.max(HEADER_BYTES, needed)) return undefined;
      needed = checkHeader(peek(), maxFrameBytes);
      const bytes = raw(needed);
      if (!bytes) return undefined;
      needed = 0;
      return toFrame(bytes);
    },
  };
}

export function encodeMethodFrame<N extends MethodName>(
  channelId: number,
  name: N,
  fields: Fields<N>,
): Buffer {
  return encode((writer) => writeMethodFrame(writer, channelId, name, fields));
}

/** A method with its message: one buffer up to the body, then the body cut to what a frame may hold. */
export function encodeContentFrames<N extends MethodName>(options: {
  channelId: number;
  name: N;
  fields: Fields<N>;
  properties: Buffer;
  body: Buffer;
  maxFrameBytes: number;
}): Buffer {
  const { channelId, name, fields, properties, body } = options;
  const maxPayloadBytes = options.maxFrameBytes - FRAME_OVERHEAD_BYTES;
  return encode((writer) => {
    writeMethodFrame(writer, channelId, name, fields);
    writeFrame(writer, HEADER_FRAME, channelId, () => {
      writeShort(writer, BASIC_CLASS);
      writeShort(writer, 0);
      writeLongLong(writer, body.length);
      writeBytes(writer, properties);
    });
    for (let start = 0; start < body.length; start += maxPayloadBytes)
      writeFrame(writer, BODY_FRAME, channelId, () =>
        writeBytes(writer, body.subarray(start, start + maxPayloadBytes)),
      );
  });
}

export const heartbeatFrame: Buffer = encode((writer) => writeFrame(writer, HEARTBEAT_FRAME, 0, () => {}));

/** How long the frame is that `bytes` begins with. */
function checkHeader(bytes: Buffer, maxFrameBytes: number): number {
  const payloadBytes = bytes.readUInt32BE(3);
  if (!FRAME_TYPES.includes(bytes.readUInt8(0))) throw new AmqpError('FRAME_ERROR', 'unknown frame type');
  // RabbitMQ is as generous: clients have been seen to forget the 8 octets around the payload.
  if (payloadBytes > maxFrameBytes)
    throw new AmqpError('FRAME_ERROR', `frame of ${payloadBytes} octets, ${maxFrameBytes} were agreed on`);
  return payloadBytes + FRAME_OVERHEAD_BYTES;
}

function toFrame(bytes: Buffer): Frame {
  if (bytes.readUInt8(bytes.length - 1) !== END_OCTET)
    throw new AmqpError('FRAME_ERROR', 'frame has no end octet where it should');
  const payload = bytes.subarray(HEADER_BYTES, -1);
  return { type: bytes.readUInt8(0), channelId: bytes.readUInt16BE(1), payload };
}

function writeMethodFrame<N extends MethodName>(
  writer: Writer,
  channelId: number,
  name: N,
  fields: Fields<N>,
): void {
  writeFrame(writer, METHOD_FRAME, channelId, () => writeMethod(writer, name, fields));
}

function writeFrame(writer: Writer, type: number, channelId: number, writePayload: () => void): void {
  writeOctet(writer, type);
  writeShort(writer, channelId);
  writeLong(writer, 0);
  const start = writer.offset;
  writePayload();
  writer.bytes.writeUInt32BE(writer.offset - start, start - 4);
  writeOctet(writer, END_OCTET);
}

function writeBytes(writer: Writer, bytes: Buffer): void {
  const at = reserve(writer, bytes.length);
  bytes.copy(writer.bytes, at);
}
