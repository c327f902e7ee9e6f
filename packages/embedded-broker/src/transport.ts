import type { Socket } from 'node:net';
import { encodeContentFrames, encodeMethodFrame } from './codec/frames.ts';
import type { Fields, MethodName } from './codec/spec.ts';

/** The writing half of a connection. What is written within one turn of the event loop leaves in one piece. */
export type Transport = {
  write(bytes: Buffer): void;
  send<N extends MethodName>(channelId: number, name: N, fields: Fields<N>): void;
  sendMessage<N extends MethodName>(
    channelId: number,
    name: N,
    fields: Fields<N>,
    content: { properties: Buffer; body: Buffer },
  ): void;
  /** Whether the client keeps up with what is written. */
  isWritable(): boolean;
};

/** @param options.maxFrameBytes as agreed on with the client; asked for with every message. */
export function createTransport({
  socket,
  maxFrameBytes,
}: {
  socket: Socket;
  maxFrameBytes(): number;
}): Transport {
  let isCorked = false;

  function write(bytes: Buffer): void {
    if (!socket.writable) return;
    if (!isCorked) {
      isCorked = true;
      socket.cork();
      process.nextTick(() => {
        isCorked = false;
        socket.uncork();
      });
    }
    socket.write(bytes);
  }

  return {
    write,
    send: (channelId, name, fields) => write(encodeMethodFrame(channelId, name, fields)),
    sendMessage: (channelId, name, fields, content) =>
      write(encodeContentFrames({ channelId, name, fields, ...content, maxFrameBytes: maxFrameBytes() })),
    isWritable: () => socket.writable && !socket.writableNeedDrain,
  };
}
