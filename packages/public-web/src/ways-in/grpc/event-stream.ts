/**
 * One client's stream of events: what it sends goes into its session, and what the session has for it is written, in order.
 *
 * A client is slowed down rather than refused: nothing is read from it while its session takes no more, as when too many of
 * its events are unanswered, its rate is used up, or it does not read its answers. HTTP/2 tells the client.
 */
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { EventRequest__Output as EventRequest } from '@waybill/common/grpc/generated/nimbus/EventRequest.ts';
import type { EventResponse } from '@waybill/common/grpc/generated/nimbus/EventResponse.ts';
import { inOwnTrace } from '@waybill/common/telemetry/tracing.ts';
import { toNimbusEvent, toResponse } from './nimbus-events.ts';
import type { Session, Sink } from './unstored-sessions.ts';

export type EventCall = ServerDuplexStream<EventRequest, EventResponse>;

export type EventStreamOptions = {
  attach(sink: Sink): Session;
  requester: Parameters<Session['send']>[1];
};

export type EventStream = {
  /** Reads no more, and ends with UNAVAILABLE when what was read is answered. */
  drain(): void;
};

/** Serves the stream of `call` until all is answered that came before its client ended it. */
export function serveEventStream(call: EventCall, { attach, requester }: EventStreamOptions): EventStream {
  let isDraining = false;
  let wake = () => {};
  for (const event of ['readable', 'end', 'close'] as const) call.on(event, () => wake());
  const session = attach({
    // The next is not read until this one is taken, so that no more is kept here than the session lets out.
    take: (entry, written) => void call.write(toResponse(entry), written),
  });
  call.once('close', () => session.close());
  void inOwnTrace(serve);

  async function serve(): Promise<void> {
    for await (const request of requests()) await session.send(toNimbusEvent(request), requester);
    await session.answered();
    if (call.readableEnded) call.end();
    else call.emit('error', { code: status.UNAVAILABLE, details: 'this instance stops; connect again' });
  }

  /** What the client sends, as it is asked for. */
  async function* requests(): AsyncGenerator<EventRequest> {
    while (!isDraining && !call.destroyed && !call.readableEnded) {
      const request: EventRequest | null = call.read();
      if (request !== null) yield request;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  }

  return {
    drain() {
      isDraining = true;
      wake();
    },
  };
}
