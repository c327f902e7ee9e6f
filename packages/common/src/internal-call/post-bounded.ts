/**
 * One POST, and what is known of it: what was answered, or what went wrong and whether a byte may have been written.
 *
 * undici's `request()` would make a stream of each answer, and `AbortSignal.timeout()` a timer that outlives its call and
 * ends in an exception that nobody waits for.
 */
import type { Dispatcher } from 'undici';
import { INTERNAL_BODY_LIMIT_BYTES } from '../batch-limits.ts';
import { untraced } from '../telemetry/tracing.ts';

/** Longest answer that is read: a tier's own names the events of one batch, and a store's has one event of any size. */
const MAX_ANSWER_BYTES = INTERNAL_BODY_LIMIT_BYTES;

export type BoundedPost = {
  /** An undici `Agent`, or the `Pool` or `Client` of one origin. */
  connections: Dispatcher;
  /** `http://<host>:<port>`, or `https:`; needed by an `Agent` alone. */
  origin?: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer;
  /** From now until the end of the answer. */
  timeoutMs: number;
};

/** `isWritten`: whether a byte of the request may have reached anybody. */
export type PostResult =
  | { kind: 'answered'; status: number; body: string }
  | { kind: 'failed'; error: Error; isWritten: boolean };

/** Posts, untraced. Never rejects. */
export function postBounded({ connections, timeoutMs, ...request }: BoundedPost): Promise<PostResult> {
  const { promise, resolve } = Promise.withResolvers<PostResult>();
  const reader = createAnswerReader(timeoutMs, resolve);
  try {
    untraced(() => connections.dispatch({ method: 'POST', ...request }, reader.handler));
  } catch (error) {
    reader.fail(error as Error);
  }
  return promise;
}

/** Calls `onEnd` once, with whatever comes first of the end of the answer, an error and the time limit. */
function createAnswerReader(timeoutMs: number, onEnd: (result: PostResult) => void) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let status = 0;
  let isOver = false;
  let controller: Dispatcher.DispatchController | undefined;
  const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);

  function end(result: PostResult): void {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    onEnd(result);
  }

  function fail(error: Error): void {
    end({ kind: 'failed', error, isWritten: controller !== undefined });
    controller?.abort(error);
  }

  const handler: Dispatcher.DispatchHandler = {
    /** The last moment before the first byte is written. */
    onRequestStart(started) {
      if (isOver) started.abort(new Error('the time was over before there was a connection'));
      else controller = started;
    },
    onResponseStart(_controller, statusCode) {
      status = statusCode;
    },
    onResponseData(_controller, chunk) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) fail(new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`));
      else chunks.push(chunk);
    },
    onResponseEnd() {
      end({ kind: 'answered', status, body: Buffer.concat(chunks).toString('utf8') });
    },
    onResponseError(_controller, error) {
      fail(error);
    },
  };
  return { handler, fail };
}
