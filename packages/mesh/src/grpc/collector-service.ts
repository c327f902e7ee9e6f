/** `collector.CollectiveDispatcher` over gRPC: thin before a site. Its gRPC status is OK, whatever became of the call. */
import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import type { CollectiveDispatcherHandlers } from '@waybill/common/grpc/generated/collector/CollectiveDispatcher.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import type { CollectiveDispatcher } from '../collective-dispatcher.ts';
import {
  type ConnectRequest,
  type DispatchRequest,
  failure,
  missingField,
  NOT_FOUND,
  type ServeRequest,
} from '../messages.ts';
import { type CallOptions, refusal } from '../methods.ts';

/**
 * Calls at once on one connection of a server with this service. With fewer, sites that send calls on to each other could wait for
 * each other: each holds a stream while it waits for one.
 */
export const MAX_CALLS_PER_CONNECTION = 1_000;

/** What of the caller's own deadline is kept for the answer's way back: else it would hear of the deadline instead. */
const RESERVE = { part: 0.1, maxMs: 100 };

/** Who calls, where callers have to show it. */
export type CollectorCaller = {
  /** The peer that it is; undefined for a client. */
  peerId: string | undefined;
  /** Whether it may call a method. Of one that it may not it hears that the namespace is not there. */
  mayCall(request: Pick<ServeRequest, 'namespace' | 'service' | 'method_name'>): boolean;
};

/**
 * The service, for {@link createGrpcServer}. A caller without a deadline of its own waits for `deadlineMs`. By default nobody
 * has to show who they are.
 */
export function createCollectorService({
  site,
  deadlineMs,
  callerOf = () => undefined,
}: {
  site: Pick<CollectiveDispatcher, 'serve' | 'dispatch' | 'accept'>;
  deadlineMs: number;
  callerOf?(metadata: Metadata): CollectorCaller | undefined;
}): GrpcService {
  /** A handler that answers with what `run` makes of the request; neither rejects. */
  const unary =
    <Request, Response>(
      run: (request: Request, options: CallOptions, caller: CollectorCaller | undefined) => Promise<unknown>,
    ) =>
    async (call: ServerUnaryCall<Request, Response>, callback: (error: null, answer: Response) => void) => {
      linkInboundGrpcTrace();
      const answer = await run(call.request, optionsOf(call, deadlineMs), callerOf(call.metadata));
      // What is generated knows the codes of our own statuses alone; others' pass as they are.
      callback(null, answer as Response);
    };

  const implementation: CollectiveDispatcherHandlers = {
    Serve: unary(async (request: ServeRequest, options, caller) => {
      if (isPermitted(request, caller)) return site.serve(request, options);
      return refusal(failure(NOT_FOUND, `namespace '${request.namespace}' not found`));
    }),
    Dispatch: unary(async (request: DispatchRequest, options, caller) => {
      if (isPermitted(request, caller)) return site.dispatch(request, options);
      const status = failure(NOT_FOUND, `no collector found for namespace '${request.namespace}'`);
      return { status, output: null, handled_by_collector_id: '' };
    }),
    Connect: unary((request: ConnectRequest, _options, caller) => site.accept(request, caller?.peerId)),
  };
  return {
    name: 'collector.CollectiveDispatcher',
    definition: loadProto('collector.proto'),
    implementation,
  };
}

/** What a request lacks it is told first. */
function isPermitted(
  request: Pick<ServeRequest, 'namespace' | 'service' | 'method_name'>,
  caller: CollectorCaller | undefined,
): boolean {
  return caller === undefined || missingField(request) !== undefined || caller.mayCall(request);
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
