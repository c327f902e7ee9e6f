/**
 * What one who calls a gRPC server can make it hold: grpc-js bounds a message, and nothing else.
 *
 * A message is kept as the list of the DATA frames it came in, so 100 calls whose messages come byte by byte held 700 MB;
 * answers are kept for as long as nobody reads them. Both are bounded here, by interceptor, and so is who is read at all.
 */
import { constants, type ServerHttp2Stream } from 'node:http2';
import { type Metadata, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/** DATA frames of one request: clients write one, or one for each 16 kB. */
const MAX_FRAMES = 1_024;
/** How long a request may take to come. */
const RECEIVE_MS = 10_000;
/** Requests that are still coming; with one more, that which came first has had its time. */
const MAX_RECEIVING = 1_000;
/** How long a caller may take for one message, where the server does not say. */
const TAKE_MS = 30_000;
/** How often those that are late are looked for. */
const SWEEP_MS = 1_000;

/** What a call ends with before it is handled. */
export type CallRefusal = Parameters<ServerInterceptingCall['sendStatus']>[0];

/**
 * Whether a call may be read, judged by its metadata: with what it ends otherwise. `path` is `/package.Service/Method`. A promise
 * does not reject; nothing is read of a call before it resolves.
 */
export type AdmitCall = (call: {
  path: string;
  metadata: Metadata;
  peer: string;
}) => CallRefusal | undefined | Promise<CallRefusal | undefined>;

export type CallBounds = { interceptor: ServerInterceptor; close(): void };

/**
 * Creates the interceptor of one server. A call ends with what `admit` says, before its message is read; with
 * RESOURCE_EXHAUSTED when its message comes in absurdly many frames, or when more than `maxUnreadBytes` of answers would wait
 * for their readers; with DEADLINE_EXCEEDED when its request, or one begun message of several, is not there within 10 s, or
 * sooner where it is the oldest of too many that are not. It is reset when a message is not taken within `takeMs`.
 */
export function createCallBounds({
  admit,
  bytesOf = () => 0,
  maxUnreadBytes = Number.POSITIVE_INFINITY,
  takeMs = TAKE_MS,
}: {
  admit?: AdmitCall;
  /** About how many bytes an answer has. */
  bytesOf?(message: unknown): number;
  maxUnreadBytes?: number;
  /** How long a caller may take for one message (default 30 s). */
  takeMs?: number;
}): CallBounds {
  const receiving = createWaiting({ maxMs: RECEIVE_MS, maxCount: MAX_RECEIVING });
  const sending = createWaiting({ maxMs: takeMs });
  let unreadBytes = 0;

  return {
    interceptor({ path, requestStream }, call) {
      // Private to grpc-js, which has no other way to see frames, or to have a caller stop sending.
      const stream = Reflect.get(call, 'stream') as ServerHttp2Stream;
      let frames = 0;
      let ownBytes = 0;
      let isReceiving = false;

      const bounded = new ServerInterceptingCall(call, {
        start(next) {
          // Of several messages even the first may be long in coming.
          if (!requestStream) receive();
          stream.on('data', onFrame);
          stream.once('close', onClose);
          next({
            onReceiveMetadata(metadata, next) {
              const admitted = admit?.({ path, metadata, peer: call.getPeer() });
              const go = (refusal: CallRefusal | undefined) => (refusal ? end(refusal) : next(metadata));
              if (admitted instanceof Promise) void admitted.then(go);
              else go(admitted);
            },
            onReceiveMessage(message, next) {
              frames = 0;
              // Of several the next may be long in coming; a single one is handled only when its caller has ended.
              if (requestStream) received();
              next(message);
            },
            onReceiveHalfClose(next) {
              received();
              next();
            },
          });
        },
      });
      const { sendMessage } = bounded;
      bounded.sendMessage = (message, onTaken) => {
        const bytes = bytesOf(message);
        if (unreadBytes + bytes > maxUnreadBytes)
          return refuse(status.RESOURCE_EXHAUSTED, 'too many answers wait for their readers; try again');
        hold(bytes);
        sending.add(stream, () => stream.close(constants.NGHTTP2_CANCEL));
        sendMessage.call(bounded, message, () => {
          sending.delete(stream);
          hold(-bytes);
          onTaken();
        });
      };
      return bounded;

      function receive(): void {
        isReceiving = true;
        receiving.add(stream, () => refuse(status.DEADLINE_EXCEEDED, 'the request takes too long to come'));
      }

      function received(): void {
        isReceiving = false;
        receiving.delete(stream);
      }

      function onFrame(): void {
        frames += 1;
        // The next message of a call that has one already.
        if (!isReceiving) receive();
        if (frames > MAX_FRAMES) refuse(status.RESOURCE_EXHAUSTED, 'the request comes in too many frames');
      }

      function hold(bytes: number): void {
        ownBytes += bytes;
        unreadBytes += bytes;
      }

      function refuse(code: status, details: string): void {
        end({ code, details });
      }

      function end(refusal: CallRefusal): void {
        stream.off('data', onFrame);
        receiving.delete(stream);
        bounded.sendStatus(refusal);
        // A caller that goes on sending is not read any more. In the next turn, or the reset would overtake the status.
        setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
      }

      function onClose(): void {
        receiving.delete(stream);
        sending.delete(stream);
        hold(-ownBytes);
      }
    },
    close() {
      receiving.close();
      sending.close();
    },
  };
}

/** Calls that wait for their peer, the one that has waited longest first. */
function createWaiting({ maxMs, maxCount = Number.POSITIVE_INFINITY }: { maxMs: number; maxCount?: number }) {
  const waiting = new Map<ServerHttp2Stream, { sinceMs: number; giveUp(): void }>();
  const timer = setInterval(() => {
    const lateMs = performance.now() - maxMs;
    for (const [stream, { sinceMs, giveUp }] of waiting) {
      if (sinceMs > lateMs) return;
      waiting.delete(stream);
      giveUp();
    }
  }, SWEEP_MS).unref();

  return {
    add(stream: ServerHttp2Stream, giveUp: () => void): void {
      waiting.set(stream, { sinceMs: performance.now(), giveUp });
      const [oldest] = waiting;
      if (waiting.size <= maxCount || !oldest) return;
      waiting.delete(oldest[0]);
      oldest[1].giveUp();
    },
    delete: (stream: ServerHttp2Stream) => waiting.delete(stream),
    close: () => clearInterval(timer),
  };
}
