/**
 * One client's stream of events: what it sends goes into its session, and what the session has for it is written, in order.
 *
 * A client is slowed down rather than refused: nothing is read from it while its session takes no more, as when too many of
 * its events are unanswered, its rate is used up, or it does not read its answers. HTTP/2 tells the client.
 *
 * A client that shows a token acknowledges by tokens. For any other it is taken for received what its HTTP/2 has received.
 */
import { setTimeout } from 'node:timers/promises';
import { Metadata, type ServerDuplexStream, status } from '@grpc/grpc-js';
import { backOff } from '@waybill/common/back-off.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EventRequest__Output as EventRequest } from '@waybill/common/grpc/generated/nimbus/EventRequest.ts';
import type { EventResponse } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import type { CallRefusal } from '@waybill/common/grpc/grpc-bounds.ts';
import { onReceived } from '@waybill/common/grpc/receipt.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { inOwnTrace } from '@waybill/common/telemetry/tracing.ts';
import type { Logger } from 'pino';
import type { EndReason, Requester, Session, Sessions, Sink } from '../../clients/sessions.ts';
import { toNimbusEvent, toResponse } from './nimbus-events.ts';
import { toRefusal } from './to-refusal.ts';

/** How long a client that nobody can attach now waits for it, and between two tries. */
const ATTACH_MS = 30_000;
const ATTACH_AGAIN = { baseMs: 200, capMs: 2_000 };
/** How often an event is tried for which the mailbox has no room, until its client has read some. */
const FULL_MS = 200;

export type EventCall = ServerDuplexStream<EventRequest, EventResponse>;

export type EventStreamOptions = {
  attach(options: {
    after: string | undefined;
    sink: Sink;
    isGone(): boolean;
  }): ReturnType<Sessions['attach']>;
  requester: Requester & { log: Logger };
};

export type EventStream = {
  /** Reads no more, and ends with UNAVAILABLE when what was read is answered. */
  drain(): void;
};

/** Serves the stream of `call` until all is answered that came before its client ended it. */
export function serveEventStream(call: EventCall, { attach, requester }: EventStreamOptions): EventStream {
  const [shown] = call.metadata.get('token').map(String);
  let isReading = true;
  let isOver = false;
  let wake = () => {};
  for (const event of ['readable', 'end', 'close'] as const) call.on(event, () => wake());
  void inOwnTrace(serve);

  async function serve(): Promise<void> {
    let session: Session | undefined;
    try {
      let token = '';
      const receipts = createReceipts(call, (upTo) => session?.acknowledge(upTo));
      const sink: Sink = {
        take(entry, written) {
          call.write(toResponse(entry), (error?: Error | null) => {
            written();
            if (error || entry.token === '') return;
            token = entry.token;
            if (shown === undefined) receipts.ask(token);
          });
        },
        end: (reason) => end(ENDINGS[reason], token),
      };
      session = await attachPatiently(sink);
      call.once('close', session.close);
      if (call.destroyed) return void session.close();
      token = session.token;
      call.sendMetadata(toMetadata({ token, backlog: String(session.backlog) }));
      for await (const request of requests()) await take(session, request);
      // Otherwise the sink is told how the stream ends.
      if (!(await session.answered())) return;
      if (call.readableEnded) call.end(toMetadata({ token }));
      else end(ENDINGS.stopping, token);
    } catch (thrown) {
      if (!session?.isOver()) end(toRefusal(toPublicError(thrown, requester.log)));
    }
  }

  /** A store that is busy, or changes its instance, is no reason to send the client away. */
  async function attachPatiently(sink: Sink): Promise<Session> {
    const sinceMs = performance.now();
    for (let failures = 1; ; failures += 1)
      try {
        return await attach({ after: shown || undefined, sink, isGone: () => call.destroyed });
      } catch (error) {
        const isAway = error instanceof AppError && error.code === 'not-accepted';
        const isTooLate = performance.now() - sinceMs > ATTACH_MS || !isReading || call.destroyed;
        if (!isAway || isTooLate) throw error;
        await backOff(failures, ATTACH_AGAIN);
      }
  }

  /** What the client sends, as it is asked for. */
  async function* requests(): AsyncGenerator<EventRequest> {
    while (isReading && !call.destroyed && !call.readableEnded) {
      const request: EventRequest | null = call.read();
      if (request !== null) yield request;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  async function take(session: Session, request: EventRequest): Promise<void> {
    const { token, event_name } = request;
    if (token !== '') session.acknowledge(token);
    if (token === '' || event_name !== '') await send(session, toNimbusEvent(request));
  }

  async function send(session: Session, event: CloudEvent): Promise<void> {
    while (isReading && !call.destroyed)
      try {
        return await session.send(event, requester);
      } catch (error) {
        // Whoever acknowledges by itself does so behind this very event.
        const isFull = error instanceof AppError && error.code === 'mailbox-full' && shown === undefined;
        if (!isFull) throw error;
        await setTimeout(FULL_MS, undefined, { ref: false });
      }
  }

  function end(refusal: CallRefusal, token = ''): void {
    if (isOver || call.destroyed) return;
    isOver = true;
    isReading = false;
    wake();
    call.emit('error', { ...refusal, metadata: toMetadata({ token }) });
  }

  return {
    drain() {
      isReading = false;
      wake();
    },
  };
}

const ENDINGS: Record<EndReason, CallRefusal> = {
  'taken-over': { code: status.ABORTED, details: 'the client has connected once more' },
  lost: { code: status.UNAVAILABLE, details: 'the store has lost what it had for the client; connect again' },
  stopping: { code: status.UNAVAILABLE, details: 'this instance stops; connect again' },
};

/** Acknowledges tokens when the client's HTTP/2 has received what they stand for; asks for the latest alone. */
function createReceipts(call: EventCall, acknowledge: (token: string) => void) {
  let latest = '';
  let isAsking = false;

  function askOnce(): void {
    const token = latest;
    isAsking = true;
    onReceived(call, () => {
      isAsking = false;
      try {
        acknowledge(token);
      } catch {
        // The store has lost it: the session ends by itself.
      }
      if (latest !== token) askOnce();
    });
  }

  return {
    ask(token: string): void {
      latest = token;
      if (!isAsking) askOnce();
    },
  };
}

/** Without what is not known. */
function toMetadata(values: Record<string, string>): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(values)) if (value !== '') metadata.set(name, value);
  return metadata;
}
