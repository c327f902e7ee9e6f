/** `collector.CollectiveDispatcher` over gRPC: thin before a site. Its gRPC status is OK, whatever became of the call. */
import type { ServerUnaryCall } from '@grpc/grpc-js';
import type { CollectiveDispatcherHandlers } from '@waybill/common/grpc/generated/collector/CollectiveDispatcher.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { CollectiveDispatcher } from '../collective-dispatcher.ts';
import type { CallOptions } from '../methods.ts';

/** What of the caller's own deadline is kept for the answer's way back: else it would hear of the deadline instead. */
const RESERVE = { part: 0.1, maxMs: 100 };

/** The service, for {@link createGrpcServer}. A caller without a deadline of its own waits for `deadlineMs`. */
export function createCollectorService({
  site,
  deadlineMs,
}: {
  site: Pick<CollectiveDispatcher, 'serve' | 'dispatch' | 'accept'>;
  deadlineMs: number;
}): GrpcService {
  /** A handler that answers with what `run` makes of the request; neither rejects. */
  const unary =
    <Request, Response, Answer>(run: (request: Request, options: CallOptions) => Promise<Answer>) =>
    async (call: ServerUnaryCall<Request, Response>, callback: (error: null, answer: Response) => void) => {
      linkInboundGrpcTrace();
      const answer = await run(call.request, optionsOf(call, deadlineMs));
      // What is generated knows the codes of our own statuses alone; others' pass as they are.
      callback(null, answer as unknown as Response);
    };

  const implementation: CollectiveDispatcherHandlers = {
    Serve: unary(site.serve),
    Dispatch: unary(site.dispatch),
    Connect: unary(site.accept),
  };
  return {
    name: 'collector.CollectiveDispatcher',
    definition: loadProto('collector.proto'),
    implementation,
  };
}

/** How long `call` may take, at most `deadlineMs`; and when its caller has gone. */
function optionsOf(call: ServerUnaryCall<unknown, unknown>, deadlineMs: number): CallOptions {
  const gone = new AbortController();
  if (call.cancelled) gone.abort();
  else call.once('cancelled', () => gone.abort());
  const ownMs = Number(call.getDeadline()) - Date.now();
  const waitMs = ownMs - Math.min(RESERVE.maxMs, ownMs * RESERVE.part);
  return { deadlineMs: Math.max(0, Math.min(deadlineMs, waitMs)), signal: gone.signal };
}
