/**
 * What one who calls a gRPC server can make it hold: grpc-js bounds a message, and nothing else.
 *
 * A message is kept as the list of the DATA frames it came in, so 100 calls whose messages come byte by byte held 700 MB;
 * answers are kept for as long as nobody reads them. Both are bounded here, by interceptor, and so is who is read at all.
 *
 * Requests that come all at once are none of that: HTTP/2 lets a client begin a thousand on one connection before the first of
 * them has its message. So what is bounded is what they hold, and not how many they are; and one that has to go for others is
 * refused by HTTP/2, which tells its client that it may send it again (RFC 9113, section 8.7), as gRPC's do by themselves.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Metadata, type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/** DATA frames of one request: clients write one, or one for each 16 kB. */
const MAX_FRAMES = 1_024;
/** How long a request may take to come, where the server does not say. */
const RECEIVE_MS = 10_000;
/** What requests that are still coming may hold; with more, that which came first has had its time. */
const MAX_COMING_BYTES = 128 * 1024 * 1024;
/** What one holds without any of its message, and each frame beside its bytes, about. */
const REQUEST_BYTES = 16 * 1024;
const FRAME_BYTES = 512;
/** How long a caller may take for one message, where the server does not say. */
const TAKE_MS = 30_000;
/** How often those that are late are looked for. */
const SWEEP_MS = 1_000;

/** What a call ends with before it is handled. */
export type CallRefusal = Parameters<ServerInterceptingCall['sendStatus']>[0];

/**
 * Whether a call may be read, judged by its metadata: with what it ends otherwise. `path` is `/package.Service/Method`, `address`
 * the IP address that the connection comes from. A promise does not reject; nothing is read of a call before it resolves.
 */
export type AdmitCall = (call: {
  path: string;
  metadata: Metadata;
  address: string;
}) => CallRefusal | undefined | Promise<CallRefusal | undefined>;

export type CallBounds = { interceptor: ServerInterceptor; close(): void };

/**
 * Creates the interceptor of one server. A call ends with what `admit` says, before its message is read; with
 * RESOURCE_EXHAUSTED when its message comes in absurdly many frames, or when more than `maxUnreadBytes` of answers would wait
 * for their readers; with DEADLINE_EXCEEDED when its request, or one begun message of several, is not there within `receiveMs`. It is
 * refused when what is coming holds more than `maxComingBytes` and it is the oldest, and reset when a message is not taken within `takeMs`.
 */
export function createCallBounds({
  admit,
  bytesOf = () => 0,
  maxUnreadBytes = Number.POSITIVE_INFINITY,
  maxComingBytes = MAX_COMING_BYTES,
  receiveMs = RECEIVE_MS,
  takeMs = TAKE_MS,
}: {
  admit?: AdmitCall;
  /** About how many bytes an answer has. */
  bytesOf?(message: unknown): number;
  maxUnreadBytes?: number;
  /** About how many bytes requests may hold that are still coming (default 128 MiB). */
  maxComingBytes?: number;
  /** How long a request may take to come (default 10 s). */
  receiveMs?: number;
  /** How long a caller may take for one message (default 30 s). */
  takeMs?: number;
}): CallBounds {
  const receiving = createWaiting(receiveMs);
  const sending = createWaiting(takeMs);
  let comingBytes = 0;
  let unreadBytes = 0;

  return {
    interceptor({ path, requestStream }, call) {
      // Private to grpc-js, which has no other way to see frames, or to have a caller stop sending.
      const stream = Reflect.get(call, 'stream') as ServerHttp2Stream;
      let frames = 0;
      let isReceiving = false;
      /** Of it, in what is coming, and in what is unread. */
      let ownComing = 0;
      let ownUnread = 0;

      // In its own steps, and not by a ServerInterceptingCall around it, which would make each step of each call several.
      const { start, sendMessage } = call;
      call.start = (listener) => {
        // Of several messages even the first may be long in coming.
        if (!requestStream) receive();
        stream.on('data', onFrame);
        // It comes once, and `once` costs more.
        stream.on('close', onClose);
        start.call(call, bounded(listener));
      };
      call.sendMessage = (message, onTaken) => {
        const bytes = bytesOf(message);
        if (unreadBytes + bytes > maxUnreadBytes)
          return refuse(status.RESOURCE_EXHAUSTED, 'too many answers wait for their readers; try again');
        hold(bytes);
        sending.add(stream, () => stream.close(constants.NGHTTP2_CANCEL));
        sendMessage.call(call, message, () => {
          sending.delete(stream);
          hold(-bytes);
          onTaken();
        });
      };
      return call as ServerInterceptingCall;

      /** What `listener` hears of the call: nothing more once it is over. */
      function bounded(listener: Parameters<typeof start>[0]): Parameters<typeof start>[0] {
        let isOver = false;
        return {
          onReceiveMetadata(metadata) {
            const go = (refusal: CallRefusal | undefined) => {
              if (refusal) end(refusal);
              else if (!isOver) listener.onReceiveMetadata(metadata);
            };
            const { remoteAddress: address = '' } = call.getConnectionInfo();
            const admitted = admit?.({ path, metadata, address });
            if (admitted instanceof Promise) void admitted.then(go);
            else go(admitted);
          },
          onReceiveMessage(message) {
            if (isOver) return;
            frames = 0;
            // Of several the next may be long in coming; a single one is handled only when its caller has ended.
            if (requestStream) received();
            listener.onReceiveMessage(message);
          },
          onReceiveHalfClose() {
            if (isOver) return;
            received();
            listener.onReceiveHalfClose();
          },
          onCancel() {
            isOver = true;
            listener.onCancel();
          },
        };
      }

      function receive(): void {
        isReceiving = true;
        receiving.add(stream, (why) => (why === 'late' ? tooLate() : crowdedOut()));
        come(REQUEST_BYTES);
      }

      function received(): void {
        if (!isReceiving) return;
        isReceiving = false;
        receiving.delete(stream);
        comingBytes -= ownComing;
        ownComing = 0;
      }

      function come(bytes: number): void {
        ownComing += bytes;
        comingBytes += bytes;
        while (comingBytes > maxComingBytes) if (!receiving.giveUpOldest()) return;
      }

      function onFrame({ length }: Buffer): void {
        frames += 1;
        // The next message of a call that has one already.
        if (!isReceiving) receive();
        come(length + FRAME_BYTES);
        if (frames > MAX_FRAMES) refuse(status.RESOURCE_EXHAUSTED, 'the request comes in too many frames');
      }

      function tooLate(): void {
        refuse(status.DEADLINE_EXCEEDED, 'the request takes too long to come');
      }

      function crowdedOut(): void {
        // Some of several may have been handled, of a single one nothing has.
        if (requestStream) refuse(status.RESOURCE_EXHAUSTED, 'too much comes at once; try again');
        else {
          stopReading();
          stream.close(constants.NGHTTP2_REFUSED_STREAM);
        }
      }

      function hold(bytes: number): void {
        ownUnread += bytes;
        unreadBytes += bytes;
      }

      function refuse(code: status, details: string): void {
        end({ code, details });
      }

      function stopReading(): void {
        stream.off('data', onFrame);
        received();
      }

      function end(refusal: CallRefusal): void {
        stopReading();
        // A caller that goes on sending is not read any more. In the turn after the status, or the reset would overtake it.
        const reset = () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
        const isBegun = stream.headersSent;
        call.sendStatus(refusal);
        if (isBegun) stream.once('wantTrailers', reset);
        else reset();
      }

      function onClose(): void {
        received();
        sending.delete(stream);
        hold(-ownUnread);
      }
    },
    close() {
      receiving.close();
      sending.close();
    },
  };
}

/** Why one that has waited is given up: it has for too long, or for others. */
type GiveUp = (why: 'late' | 'crowded') => void;

/** Calls that wait for their peer, the one that has waited longest first; none waits longer than `maxMs`. */
function createWaiting(maxMs: number) {
  const waiting = new Map<ServerHttp2Stream, { sinceMs: number; giveUp: GiveUp }>();
  const timer = setInterval(() => {
    const lateMs = performance.now() - maxMs;
    for (const [stream, { sinceMs, giveUp }] of waiting) {
      if (sinceMs > lateMs) return;
      waiting.delete(stream);
      giveUp('late');
    }
  }, SWEEP_MS).unref();

  return {
    add: (stream: ServerHttp2Stream, giveUp: GiveUp) =>
      waiting.set(stream, { sinceMs: performance.now(), giveUp }),
    delete: (stream: ServerHttp2Stream) => waiting.delete(stream),
    /** Whether there was one. */
    giveUpOldest(): boolean {
      const [oldest] = waiting;
      if (!oldest) return false;
      const [stream, { giveUp }] = oldest;
      waiting.delete(stream);
      giveUp('crowded');
      return true;
    },
    close: () => clearInterval(timer),
  };
}
