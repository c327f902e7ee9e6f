/**
 * One client's numbers, over as many connections as it takes. After each it goes on behind the last token that it has, and
 * sends again what is still without a result then.
 */
import { once } from 'node:events';
import { type ClientDuplexStream, type ServiceError, status as Status } from '@grpc/grpc-js';
import { backOff } from '@waybill/common/back-off.ts';
import type { EventRequest } from '@waybill/common/grpc/generated/nimbus/EventRequest.ts';
import type { EventResponse__Output as StreamedResult } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { connectGrpc, explainGrpc, metadataOf } from './grpc-connection.ts';

export type { StreamedResult };

export type StreamSummary = {
  /** Numbers whose result is a problem. */
  refused: number;
  /** Results that came once more than needed. */
  repeated: number;
  reconnects: number;
  /** Results of an earlier run of the client. */
  missed: number;
};

export type StreamNumbersOptions = {
  clientId: string;
  start: number;
  end: number;
  /** Each host:port, or https://host:port. */
  urls: string[];
  /** Where to begin among them. */
  firstUrl: number;
  /** How long nothing may come. */
  timeoutMs: number;
  /** Aborts when nobody wants to know any more. */
  signal: AbortSignal;
  /** Is called with each result that has not come before. */
  onResult(result: StreamedResult): void;
  /** Is called with what an earlier run of the client has missed. */
  onMissed(result: StreamedResult): void;
};

type Stream = ClientDuplexStream<EventRequest, StreamedResult>;

const EVENT_NAME = 'sq';
const AGAIN = { baseMs: 200, capMs: 2_000 };
/**
 * A store hands out no more than 256 that are not acknowledged; an acknowledgement goes behind the numbers that were sent before it, so
 * no more of them are without a result.
 */
const MAX_UNANSWERED = 128;
const ACKNOWLEDGE_EVERY = 32;
/** When nothing has come for this long of what was sent over an earlier connection, it is sent again. */
const SEND_AGAIN_MS = 2_000;
/** What ends a connection and not the client: an instance that stops, or is gone, or has too many streams. */
const ENDS_CONNECTION: readonly unknown[] = [
  Status.UNAVAILABLE,
  Status.CANCELLED,
  Status.INTERNAL,
  Status.UNKNOWN,
  Status.RESOURCE_EXHAUSTED,
];

/**
 * Resolves once every number has its result.
 *
 * @throws UserError at the first thing that is not as promised, or why there is no more
 */
export async function streamNumbers(options: StreamNumbersOptions): Promise<StreamSummary> {
  const { start, end, urls, firstUrl, timeoutMs, signal } = options;
  const progress: Progress = {
    next: start,
    sent: start - 1,
    token: '',
    refused: 0,
    repeated: 0,
    missed: 0,
    onResult() {},
  };
  let cameMs = performance.now();
  let failures = 0;
  for (let reconnects = 0; ; reconnects += 1) {
    const url = urls[(firstUrl + reconnects) % urls.length] as string;
    const { next } = progress;
    const error = await connectOnce(url, progress, options);
    if (progress.next > end || signal.aborted) return { ...progress, reconnects };
    if (!error || !ENDS_CONNECTION.includes(error.code)) throw explain(url, error);
    if (progress.next > next) {
      cameMs = performance.now();
      failures = 0;
    }
    if (performance.now() - cameMs > timeoutMs) throw explain(url, error);
    failures += 1;
    await backOff(failures, AGAIN);
  }
}

type Progress = Omit<StreamSummary, 'reconnects'> & {
  /** The first number without a result. */
  next: number;
  /** The last number that was sent. */
  sent: number;
  token: string;
  /** Called when a result has come. */
  onResult(): void;
};

/** Resolves when the connection has ended, with what ended it if that was no good end. */
async function connectOnce(
  url: string,
  progress: Progress,
  { clientId, end, timeoutMs, signal, onResult, onMissed }: StreamNumbersOptions,
): Promise<ServiceError | undefined> {
  const { NimbusService } = loadPackage('nimbus.proto').nimbus;
  const stub = connectGrpc(NimbusService, url, { 'grpc.use_local_subchannel_pool': 1 });
  const stream = stub.ProcessEvent(metadataOf({ client_id: clientId, token: progress.token }));
  const isFirst = progress.sent < progress.next;
  let earlier = 0;
  stream.on('metadata', (metadata) => {
    if (isFirst) earlier = Number(metadata.get('backlog')[0] ?? 0);
  });
  const over = new AbortController();
  const cancel = () => stream.cancel();
  signal.addEventListener('abort', cancel);
  const silence = setTimeout(cancel, timeoutMs);
  const isResumed = !isFirst && progress.token !== '';
  let isSending = false;
  const sending = setTimeout(
    () => {
      isSending = true;
      void sendNumbers(stream, progress, end, over.signal);
    },
    isResumed ? SEND_AGAIN_MS : 0,
  );
  try {
    for await (const result of stream as AsyncIterable<StreamedResult>) {
      silence.refresh();
      progress.token = result.token;
      if (earlier > 0) {
        earlier -= 1;
        progress.missed += 1;
        onMissed(result);
        continue;
      }
      // What still comes of what was sent before need not be sent again.
      if (!isSending) sending.refresh();
      if (take(progress, result)) onResult(result);
      const isDone = progress.next > end;
      if (progress.token !== '' && (isDone || result.number % ACKNOWLEDGE_EVERY === 0))
        stream.write({ token: progress.token });
      if (isDone) stream.end();
    }
    return undefined;
  } catch (error) {
    if (error instanceof UserError) throw error;
    return error as ServiceError;
  } finally {
    over.abort();
    progress.onResult();
    clearTimeout(silence);
    clearTimeout(sending);
    signal.removeEventListener('abort', cancel);
    cancel();
    stub.close();
  }
}

/** Sends what is without a result, as fast as it is taken, until `over`. */
async function sendNumbers(
  stream: Stream,
  progress: Progress,
  end: number,
  over: AbortSignal,
): Promise<void> {
  for (let number = progress.next; number <= end && !over.aborted; number += 1) {
    progress.sent = Math.max(progress.sent, number);
    const isTaken = stream.write({ event_name: EVENT_NAME, number });
    if (!isTaken) await once(stream, 'drain', { signal: over }).catch(() => {});
    while (number - progress.next >= MAX_UNANSWERED && !over.aborted)
      await new Promise<void>((resolve) => {
        progress.onResult = resolve;
      });
  }
}

/**
 * Whether it is the next result.
 *
 * @throws UserError when it is not the square, or one that stands before it is missing
 */
function take(progress: Progress, result: StreamedResult): boolean {
  const { number, problem } = result;
  if (!problem && result.result !== Math.imul(number, number))
    throw new UserError(
      `the result of ${number} is ${result.result} and must be ${Math.imul(number, number)}`,
    );
  if (number < progress.next) progress.repeated += 1;
  if (number > progress.next)
    throw new UserError(`the result of ${number} came before that of ${progress.next}`);
  if (number !== progress.next) return false;
  progress.next += 1;
  progress.onResult();
  if (problem) progress.refused += 1;
  return true;
}

function explain(url: string, error: ServiceError | undefined): UserError {
  if (error) return explainGrpc(url, error);
  return new UserError(`${url} has ended the stream before every number had its result`);
}
