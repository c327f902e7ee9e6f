/**
 * A unary call on the connection that a channel of grpc-js has. The channel makes connections, and makes them again; a call of its own
 * would go through name resolution, filters, retries and the balancing between connections first, each with promises and copies of the
 * metadata. A peer is one address that is asked once, and those were two fifths of what calling it cost.
 */
import { constants } from 'node:http2';
import { type ChannelInterface, Metadata, type StatusObject, status } from '@grpc/grpc-js';

/** What is private to grpc-js, of its version in package.json. */
type InternalChannel = {
  doPick(metadata: Metadata, info: object): { subchannel: { getRealSubchannel(): Subchannel } | null };
};
type Subchannel = {
  /** Begins an HTTP/2 stream; throws when it cannot, of which the peer then knows nothing. Messages have their prefix, both ways. */
  createCall(metadata: Metadata, host: string, path: string, listener: Listener): SubchannelCall;
};
type SubchannelCall = {
  startRead(): void;
  sendMessageWithContext(context: object, message: Buffer): void;
  halfClose(): void;
  cancelWithStatus(code: status, details: string): void;
};
type Listener = {
  onReceiveMetadata(): void;
  onReceiveMessage(message: Buffer): void;
  onReceiveStatus(status: End['status']): void;
};

/** How a call has ended; `answer` is undefined where there is none, `rstCode` where the peer did not reset it. */
export type End = { status: StatusObject & { rstCode?: number }; answer: Buffer | undefined };

export type UnaryCall = {
  path: string;
  message: Buffer;
  /** Gets the headers of a call besides; none other may have it. */
  metadata: Metadata;
  /** By `Date.now()`. */
  deadline: number;
  signal?: AbortSignal | undefined;
};

/** Before each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;
/** As gRPC writes a timeout: eight digits at most. */
const MAX_TIMEOUT_MS = 99_999_999;

/**
 * Makes one call, and resolves with how it ended. One whose stream the peer has refused, and so not looked at, is made once more, as
 * gRPC's clients do; what could not be sent at all ends as if it had been refused.
 */
export async function callOn(channel: ChannelInterface, host: string, call: UnaryCall): Promise<End> {
  const end = await callOnce(channel, host, call);
  return isRefused(end) ? callOnce(channel, host, call) : end;
}

/** Whether the peer provably has not looked at a call. */
export function isRefused({ status }: Pick<End, 'status'>): boolean {
  return status.rstCode === constants.NGHTTP2_REFUSED_STREAM;
}

function callOnce(
  channel: ChannelInterface,
  host: string,
  { path, message, metadata, deadline, signal }: UnaryCall,
): Promise<End> {
  const timeoutMs = Math.min(MAX_TIMEOUT_MS, Math.ceil(deadline - Date.now()));
  if (timeoutMs <= 0) return Promise.resolve(unsent('the deadline passed'));
  metadata.set('grpc-timeout', `${timeoutMs}m`);
  return new Promise((resolve) => {
    let answer: Buffer | undefined;
    const call = begin(channel, host, path, metadata, {
      onReceiveMetadata() {},
      onReceiveMessage(bytes) {
        // Who says nothing of compression takes none.
        if (bytes[0] === 0) answer = bytes.subarray(PREFIX_BYTES);
      },
      onReceiveStatus(status) {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onGone);
        resolve({ status, answer });
      },
    });
    if (!call) return resolve(unsent('there is no connection'));
    const onGone = () => call.cancelWithStatus(status.CANCELLED, 'the caller has gone');
    const onLate = () => call.cancelWithStatus(status.DEADLINE_EXCEEDED, 'the deadline passed');
    const timer = setTimeout(onLate, timeoutMs);
    signal?.addEventListener('abort', onGone);
    call.startRead();
    call.sendMessageWithContext({}, framed(message));
    call.halfClose();
  });
}

/** Undefined when there is no connection. */
function begin(
  channel: ChannelInterface,
  host: string,
  path: string,
  metadata: Metadata,
  listener: Listener,
): SubchannelCall | undefined {
  const internal = Reflect.get(channel, 'internalChannel') as InternalChannel;
  const { subchannel } = internal.doPick(metadata, {});
  try {
    return subchannel?.getRealSubchannel().createCall(metadata, host, path, listener);
  } catch {
    // It was lost this moment.
    return undefined;
  }
}

function unsent(details: string): End {
  const rstCode = constants.NGHTTP2_REFUSED_STREAM;
  return {
    status: { code: status.UNAVAILABLE, details, metadata: new Metadata(), rstCode },
    answer: undefined,
  };
}

function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  frame.writeUInt8(0, 0);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, PREFIX_BYTES);
  return frame;
}
