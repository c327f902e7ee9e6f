/**
 * One client's connection: bytes to frames to methods to channels, and what a fault of the client ends. A fault never
 * reaches another connection: the worst of them closes this socket.
 */
import type { Socket } from 'node:net';
import { AmqpError } from './amqp-error.ts';
import type { ChannelConnection } from './channel/channel.ts';
import { type Channels, createChannels } from './channels.ts';
import {
  createFrameReader,
  type Frame,
  HEARTBEAT_FRAME,
  heartbeatFrame,
  METHOD_FRAME,
} from './codec/frames.ts';
import { decodeMethod, methodId } from './codec/method.ts';
import type { Method, MethodName } from './codec/spec.ts';
import { createHandshake, type Session } from './handshake.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { Log } from './log.ts';
import type { Memory } from './memory.ts';
import { createTransport } from './transport.ts';
import type { Vhost } from './vhost.ts';

export type Connection = {
  /** The virtual host it has opened. */
  vhost(): Vhost | undefined;
  /** Tells the client why and closes; cuts the connection if that takes longer than 2 s. */
  close(reason: AmqpError): void;
  /** Cuts it now. */
  destroy(): void;
};

const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
/** Until the client has said what it takes; RabbitMQ's figure. */
const HANDSHAKE_FRAME_BYTES = 8_192;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** How long a client that has closed may take to end TCP; RabbitMQ's figure. */
const END_TIMEOUT_MS = 30_000;

export type ConnectionOptions = {
  socket: Socket;
  users: Record<string, string>;
  vhosts: Map<string, Vhost>;
  memory: Memory;
  log: Log;
  onClosed(): void;
};

export function createConnection({
  socket,
  users,
  vhosts,
  memory,
  log,
  onClosed,
}: ConnectionOptions): Connection {
  const reader = createFrameReader();
  let phase: 'greeting' | 'handshake' | 'open' | 'closing' | 'deaf' = 'greeting';
  let session: Session | undefined;
  let channels: Channels | undefined;
  let isBlocked = false;
  /** What is being handled: a close names its cause. */
  let current: MethodName | undefined;
  let stopHeartbeat = () => {};
  let timer: NodeJS.Timeout | undefined = setTimeout(() => socket.destroy(), HANDSHAKE_TIMEOUT_MS);
  const maxFrameBytes = () => session?.maxFrameBytes ?? HANDSHAKE_FRAME_BYTES;
  const transport = createTransport({ socket, maxFrameBytes });
  const handshake = createHandshake({
    users,
    vhosts,
    send: (name, fields) => transport.send(0, name, fields),
    hangUp,
  });

  function read(): void {
    if (phase === 'greeting' && !greet()) return;
    try {
      while (!isBlocked && phase !== 'deaf') {
        const frame = reader.next(maxFrameBytes());
        if (!frame) break;
        handleFrame(frame);
      }
    } catch (error) {
      fail(error);
    }
    if (phase === 'open') channels?.flush();
  }

  /** Anything but this protocol is told which one is spoken here (AMQP 0-9-1, section 4.2.2). */
  function greet(): boolean {
    const header = reader.raw(PROTOCOL_HEADER.length);
    if (!header) return false;
    if (!header.equals(PROTOCOL_HEADER)) {
      transport.write(PROTOCOL_HEADER);
      hangUp();
      return false;
    }
    phase = 'handshake';
    handshake.begin();
    return true;
  }

  function handleFrame(frame: Frame): void {
    if (frame.type === HEARTBEAT_FRAME) return;
    current = undefined;
    const method = frame.type === METHOD_FRAME ? decodeMethod(frame.payload) : undefined;
    current = method?.name;
    if (phase === 'closing') handleWhileClosing(method);
    else if (frame.channelId === 0) handleConnectionMethod(method);
    else handleChannelFrame(frame, method);
  }

  function handleChannelFrame(frame: Frame, method: Method | undefined): void {
    if (!channels) throw new AmqpError('CHANNEL_ERROR', 'no channel before the connection is open');
    // As RabbitMQ: the publish is taken, and no more is read before there is memory for its content.
    if (method?.name === 'basic.publish' && memory.isExceeded()) block();
    channels.handle(frame, method);
  }

  function handleWhileClosing(method: Method | undefined): void {
    if (method?.name === 'connection.close') agreeToClose();
    else if (method?.name === 'connection.close-ok') hangUp();
  }

  function handleConnectionMethod(method: Method | undefined): void {
    if (!method) throw new AmqpError('UNEXPECTED_FRAME', 'content on channel 0');
    if (method.name === 'connection.close') {
      release();
      agreeToClose();
    } else if (phase === 'handshake') {
      session = handshake.next(method);
      if (session) open(session);
    } else if (method.name === 'connection.update-secret') {
      // Nobody's login ends here, so that any new secret is as good as the old one.
      transport.send(0, 'connection.update-secret-ok', {});
    } else throw new AmqpError('COMMAND_INVALID', `${method.name} on channel 0 of an open connection`);
  }

  function open(opened: Session): void {
    clearTimeout(timer);
    phase = 'open';
    const { user, vhost, heartbeatS, isCancelNotified, channelMax } = opened;
    const connection: ChannelConnection = {
      user,
      vhost,
      isCancelNotified,
      // Once it is released none of its channels gets what another of them gives back.
      isWritable: () => channels !== undefined && transport.isWritable(),
    };
    channels = createChannels({ connection, transport, channelMax, onRefused: logFault });
    stopHeartbeat = startHeartbeat({
      socket,
      intervalS: heartbeatS,
      isReading: () => !isBlocked,
      sendHeartbeat: () => transport.write(heartbeatFrame),
      onSilence() {
        log.warn({ vhost: vhost.name }, 'client is silent, connection cut');
        socket.destroy();
      },
    });
  }

  function block(): void {
    isBlocked = true;
    socket.pause();
    log.warn({ usedBytes: memory.usedBytes() }, 'memory limit reached, publisher blocked');
    if (session?.isBlockNotified) transport.send(0, 'connection.blocked', { reason: 'low on memory' });
  }

  function unblock(): void {
    if (!isBlocked) return;
    isBlocked = false;
    if (session?.isBlockNotified && phase === 'open') transport.send(0, 'connection.unblocked', {});
    socket.resume();
    read();
  }

  function fail(error: unknown): void {
    if (!(error instanceof AmqpError)) log.error({ err: error }, 'a fault of the broker');
    const fault =
      error instanceof AmqpError ? error : new AmqpError('INTERNAL_ERROR', 'see the log of the broker');
    logFault(fault);
    // After bytes that are no frame nothing can be told from what follows.
    const isLost = phase === 'closing' || fault.message.startsWith('FRAME_ERROR');
    close(fault);
    if (isLost) hangUp();
  }

  function logFault(fault: AmqpError): void {
    log.warn({ code: fault.code, method: current }, fault.message);
  }

  function close(reason: AmqpError): void {
    if (phase === 'deaf') cutWithin(CLOSE_TIMEOUT_MS);
    if (phase === 'closing' || phase === 'deaf') return;
    release();
    if (phase === 'greeting') hangUp();
    else sayClose(reason);
  }

  function sayClose(reason: AmqpError): void {
    phase = 'closing';
    const [classId, methodNumber] = current ? methodId(current) : [0, 0];
    transport.send(0, 'connection.close', {
      replyCode: reason.code,
      replyText: reason.replyText,
      classId,
      methodId: methodNumber,
    });
    cutWithin(CLOSE_TIMEOUT_MS);
  }

  /** The client ends TCP: an end that comes with our answer would be a broken connection to some that wait for both. */
  function agreeToClose(): void {
    phase = 'deaf';
    transport.send(0, 'connection.close-ok', {});
    cutWithin(END_TIMEOUT_MS);
  }

  /** Says no more, and reads on to the end without listening: bytes left unread would make the end a reset. */
  function hangUp(): void {
    phase = 'deaf';
    socket.end();
    cutWithin(CLOSE_TIMEOUT_MS);
  }

  function cutWithin(timeoutMs: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), timeoutMs);
    isBlocked = false;
    socket.resume();
  }

  /** Gives back all that the client held. */
  function release(): void {
    stopHeartbeat();
    const gone = channels;
    channels = undefined;
    gone?.close();
  }

  const stopWatching = memory.onRelief(unblock);
  socket.on('data', (chunk: Buffer) => {
    if (phase === 'deaf') return;
    reader.push(chunk);
    if (!isBlocked) read();
  });
  socket.on('drain', () => channels?.deliver());
  socket.on('error', (error) => log.info({ reason: error.message }, 'connection broken'));
  socket.on('close', () => {
    phase = 'deaf';
    clearTimeout(timer);
    stopWatching();
    release();
    onClosed();
  });

  return { vhost: () => session?.vhost, close, destroy: () => socket.destroy() };
}
