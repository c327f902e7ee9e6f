/** `collector.CollectiveDispatcher` over gRPC: thin before a site. Its gRPC status is OK, whatever became of the call. */
import { Metadata, type ServerUnaryCall } from '@grpc/grpc-js';
import type { CollectiveDispatcherHandlers } from '@waybill/common/grpc/generated/collector/CollectiveDispatcher.ts';
import type { GrpcService } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { untilAnswered } from '@waybill/common/grpc/until-answered.ts';
import { linkInboundGrpcTrace } from '@waybill/common/telemetry/edge-trace.ts';
import { describeServerSpan, traceResponse } from '@waybill/common/telemetry/server-span.ts';
import type { CollectiveDispatcher } from '../collective-dispatcher.ts';
import {
  type ConnectRequest,
  DETAILS,
  type DispatchRequest,
  FAILED,
  failure,
  methodName,
  NOT_FOUND,
  refusal,
  type ServeRequest,
  type Status,
  wrongField,
} from '../messages.ts';
import type { CallOptions } from '../methods.ts';

/** Bytes of one call: gRPC's own default, which peers expect. A site whose events may be larger takes as much as those. */
export const MAX_CALL_BYTES = 4 * 1024 * 1024;
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
    <Request extends object, Response, Answer extends { status: Status }>(
      run: (request: Request, options: CallOptions, caller: CollectorCaller | undefined) => Promise<Answer>,
    ) =>
    async (call: ServerUnaryCall<Request, Response>, callback: (error: null, answer: Response) => void) => {
      linkInboundGrpcTrace();
      sendTraceResponse(call);
      const options = { deadlineMs: waitMs(call, deadlineMs) };
      const answer = await untilAnswered(call, (signal) =>
        run(call.request, { ...options, signal }, callerOf(call.metadata)),
      );
      describeCall(call.request, answer);
      // What is generated knows the codes of our own statuses alone; others' pass as they are.
      callback(null, answer as unknown as Response);
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
  return caller === undefined || wrongField(request) !== undefined || caller.mayCall(request);
}

/** How long `call` may take, at most `deadlineMs`. */
function waitMs(call: ServerUnaryCall<unknown, unknown>, deadlineMs: number): number {
  const ownMs = Number(call.getDeadline()) - Date.now();
  const waitMs = ownMs - Math.min(RESERVE.maxMs, ownMs * RESERVE.part);
  return Math.max(0, Math.min(deadlineMs, waitMs));
}

/** As public-web does over HTTP. Not in the trailer: the instrumentation drops it. */
function sendTraceResponse(call: ServerUnaryCall<unknown, unknown>): void {
  const traceresponse = traceResponse();
  if (traceresponse === undefined) return;
  const metadata = new Metadata();
  metadata.set('traceresponse', traceresponse);
  call.sendMetadata(metadata);
}

/** Characters of what a caller or a handler chose. */
const MAX_NAME_LENGTH = 200;

/** The gRPC status says OK whatever became of the call, so the span is told. */
function describeCall(request: object, answer: { status: Status }): void {
  describeServerSpan(() => {
    const { status } = answer;
    const code = status.details[DETAILS.code]?.slice(0, MAX_NAME_LENGTH) ?? String(status.code);
    return {
      attributes: {
        'waybill.mesh.method': methodOf(request),
        'waybill.mesh.status': status.code,
        'waybill.mesh.handled_by': handlerOf(answer),
      },
      error: status.code >= FAILED ? { code, message: status.message.slice(0, MAX_NAME_LENGTH) } : undefined,
    };
  });
}

function methodOf(request: object): string | undefined {
  if (!('method_name' in request)) return undefined;
  const call = request as ServeRequest;
  return `${call.namespace}.${methodName(call)}`.slice(0, MAX_NAME_LENGTH);
}

function handlerOf(answer: object): string | undefined {
  const { executor_id, handled_by_collector_id } = answer as Record<string, string | undefined>;
  return executor_id || handled_by_collector_id || undefined;
}
