/** The channels of one connection by number: opening, closing by either side, and the way of frames to them. */
import { AmqpError } from './amqp-error.ts';
import { type ChannelConnection, type ChannelEnd, createChannel } from './channel/channel.ts';
import { type Frame, HEADER_FRAME } from './codec/frames.ts';
import { methodId } from './codec/method.ts';
import type { Method } from './codec/spec.ts';
import type { Transport } from './transport.ts';

export type Channels = {
  /** Throws what ends the connection; what ends a channel only is dealt with here. */
  handle(frame: Frame, method: Method | undefined): void;
  flush(): void;
  deliver(): void;
  /** Closes all of them, and removes what lives and dies with the connection. */
  close(): void;
};

export function createChannels(options: {
  connection: ChannelConnection;
  transport: Transport;
  channelMax: number;
  /** A channel was closed for this. */
  onRefused(fault: AmqpError): void;
}): Channels {
  const { connection, transport, channelMax } = options;
  const open = new Map<number, ChannelEnd>();
  /** Closed by us, and the client has not said so yet: what it sent meanwhile is ignored. */
  const closing = new Set<number>();

  function openChannel(id: number): void {
    if (open.has(id)) throw new AmqpError('CHANNEL_ERROR', "second 'channel.open' seen");
    if (id > channelMax)
      throw new AmqpError(
        'NOT_ALLOWED',
        `channel number ${id} is over the negotiated channel_max (${channelMax})`,
      );
    const channel = createChannel({
      connection,
      send: (name, fields) => transport.send(id, name, fields),
      sendMessage: (name, fields, content) => transport.sendMessage(id, name, fields, content),
    });
    open.set(id, channel);
    transport.send(id, 'channel.open-ok', { reserved1: Buffer.alloc(0) });
  }

  function closeChannel(id: number, channel: ChannelEnd): void {
    open.delete(id);
    channel.flush();
    channel.close();
  }

  function refuse(id: number, channel: ChannelEnd, fault: AmqpError, method: Method | undefined): void {
    options.onRefused(fault);
    closeChannel(id, channel);
    closing.add(id);
    const [classId, methodNumber] = method ? methodId(method.name) : methodId('basic.publish');
    transport.send(id, 'channel.close', {
      replyCode: fault.code,
      replyText: fault.replyText,
      classId,
      methodId: methodNumber,
    });
  }

  function handleWhileClosing(id: number, method: Method | undefined): void {
    if (method?.name === 'channel.close') transport.send(id, 'channel.close-ok', {});
    if (method?.name.startsWith('channel.close')) closing.delete(id);
  }

  function dispatch(id: number, frame: Frame, method: Method | undefined): void {
    const channel = open.get(id);
    if (method?.name === 'channel.open') openChannel(id);
    else if (!channel) expectCrossed(method);
    else if (method?.name === 'channel.close') {
      closeChannel(id, channel);
      transport.send(id, 'channel.close-ok', {});
    } else pass(id, channel, frame, method);
  }

  /** When both sides close a channel at once, the client's answer comes after the channel is gone. */
  function expectCrossed(method: Method | undefined): void {
    if (method?.name !== 'channel.close-ok') throw new AmqpError('CHANNEL_ERROR', "expected 'channel.open'");
  }

  function pass(id: number, channel: ChannelEnd, frame: Frame, method: Method | undefined): void {
    try {
      if (method) channel.onMethod(method);
      else if (frame.type === HEADER_FRAME) channel.onHeader(frame.payload);
      else channel.onBody(frame.payload);
    } catch (error) {
      if (!(error instanceof AmqpError) || error.isHard) throw error;
      refuse(id, channel, error, method);
    }
  }

  return {
    handle(frame, method) {
      if (closing.has(frame.channelId)) handleWhileClosing(frame.channelId, method);
      else dispatch(frame.channelId, frame, method);
    },
    flush() {
      for (const channel of open.values()) channel.flush();
    },
    deliver() {
      for (const channel of open.values()) channel.deliver();
    },
    close() {
      for (const [id, channel] of [...open]) {
        open.delete(id);
        channel.close();
      }
      connection.vhost.releaseOwner(connection);
    },
  };
}
