/**
 * A site of the mesh, without its transport: serves calls itself, sends others to the site that serves them, and is connected to
 * its neighbours. The contract of the three calls is `proto/collector.proto`; what a mesh does beyond it is in docs/mesh.md.
 *
 * A call whose outcome is unknown is never run again elsewhere; one that provably did not run is.
 */
import type { Connection, Connections } from './connections.ts';
import {
  BAD_REQUEST,
  type ConnectRequest,
  type ConnectResponse,
  DETAILS,
  type DispatchRequest,
  type DispatchResponse,
  FAILED,
  failure,
  hasNotRun,
  NOT_FOUND,
  refusal,
  type ServeRequest,
  type ServeResponse,
  type Status,
  wrongField,
} from './messages.ts';
import { type CallOptions, createMethods, type MethodHandler, type RunMethod } from './methods.ts';
import type { MeshLog } from './neighbour.ts';
import { createNeighbours, type Neighbours } from './neighbours.ts';
import type { OpenPeer } from './peer.ts';
import type { RegistryValidator } from './registry.ts';
import { ask, createRoute, weightier } from './routing.ts';
import { timeLeft } from './time-left.ts';
import type { PeerAt } from './trust.ts';
import { type Way, wayOf, withoutWay } from './way.ts';

export type CollectiveDispatcher = Pick<Neighbours, 'connectTo' | 'disconnect'> & {
  id: string;
  /** Where peers call it. */
  address: string;
  /** Those that it shares with peers now. */
  namespaces(): readonly string[];
  /** Has `handler` run a method here, from now on, in a namespace that thereby is one of this site. */
  registerService(namespace: string, service: string, method: string, handler: MethodHandler): void;
  /** Replaces the validator from the next call on; `undefined` takes every service as registered. */
  setRegistryValidator(validator: RegistryValidator | undefined): void;
  /** Replaces the namespaces that are shared, and tells the neighbours. */
  setNamespaces(namespaces: readonly string[]): Promise<void>;
  /** `CollectiveDispatcher/Serve`: runs a method here; never rejects. A call that another site sent on is sent on in turn. */
  serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
  /** `CollectiveDispatcher/Dispatch`: runs a method here or at whichever site serves it; never rejects. */
  dispatch(request: DispatchRequest, options: CallOptions): Promise<DispatchResponse>;
  /** `CollectiveDispatcher/Connect`: takes a connection; never rejects. `callerId`: who its sender has shown to be. */
  accept(request: ConnectRequest, callerId?: string): Promise<ConnectResponse>;
  /** Every connection that is kept, the oldest first. */
  listConnections(): Promise<Connection[]>;
  listActiveConnections(): Promise<Connection[]>;
  /** To be called once, at the start: what was active when the last process ended becomes STALE, and is connected again. */
  recoverFromRestart(): Promise<void>;
  /** Says goodbye to the neighbours, and routes nothing more. The store is not closed. */
  shutdown(): Promise<void>;
};

export type CollectiveDispatcherOptions = {
  /** Names the site in answers; another than those of its peers. */
  id: string;
  /** Where peers call it, `host:port`. */
  address: string;
  /** Those that it shares with peers. */
  namespaces: readonly string[];
  connections: Connections;
  validator?: RegistryValidator;
  /** The way to a peer. */
  openPeer: OpenPeer;
  /** Runs methods of its namespaces that no handler is registered for; without it there are none. */
  runMethod?: RunMethod;
  /** Who may be a peer; default: whoever asks, wherever they are. */
  peerAt?: PeerAt;
  /** How often each neighbour is asked whether it is there; default 2 s. */
  checkMs?: number;
  /** Gets a line for each connection that begins or ends; default: nothing is logged. */
  log?: MeshLog;
};

/**
 * Creates a site.
 *
 * @example
 * const site = createCollectiveDispatcher({
 *   ...{ id: 'berlin', address: 'berlin.example:50051', namespaces: ['acme'] },
 *   ...{ connections: createMemoryConnections(), openPeer: createGrpcPeers() },
 * });
 * site.registerService('acme', 'Greeter', 'Greet', ({ input }) => input);
 * await site.connectTo('paris.example:50051');
 */
export function createCollectiveDispatcher({
  id,
  address,
  namespaces: initialNamespaces,
  connections,
  validator,
  openPeer,
  runMethod,
  peerAt = () => ({}),
  checkMs,
  log = { info() {}, warn() {} },
}: CollectiveDispatcherOptions): CollectiveDispatcher {
  let namespaces = initialNamespaces;
  const methods = createMethods({ id, namespaces: () => namespaces, validator, runMethod });
  const neighbours = createNeighbours({
    ...{ id, address, namespaces: () => namespaces, connections, openPeer },
    ...{ peerAt, checkMs, log },
  });
  const route = createRoute(id);
  /** The answer to what this site cannot send on any more, though it could a moment ago. */
  const nobody = () =>
    neighbours.isStopping()
      ? refusal(failure(FAILED, 'this site shuts down', { [DETAILS.code]: 'not-accepted' }))
      : undefined;

  /** Runs a call here, or else at whichever site serves it. `answer` is undefined when there is nobody else, and `local` says why not here. */
  async function runAnywhere(request: ServeRequest, way: Way, options: CallOptions) {
    const left = timeLeft(options);
    const local = await methods.serve(request, options);
    if (!hasNotRun(local.status)) return { local, answer: local, visited: way.visited };
    const sent = { request, way, neighbours: neighbours.active(), options: left() };
    const { answer = nobody(), visited } = await route(sent);
    return { local, answer: answer && weightier(local, answer), visited };
  }

  async function serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse> {
    const way = wayOf(request);
    if (!way) return methods.serve(request, options);
    const execution_context = withoutWay(request.execution_context);
    const {
      local,
      answer = local,
      visited,
    } = await runAnywhere({ ...request, execution_context }, way, options);
    return withVisited(answer, visited);
  }

  async function dispatchToTarget(
    target: string,
    request: ServeRequest,
    options: CallOptions,
  ): Promise<ServeResponse> {
    if (target === id) return methods.serve(request, options);
    const connected = neighbours.active().filter((neighbour) => neighbour.peerId() === target);
    connected.sort((a, b) => a.inFlight() - b.inFlight());
    const left = timeLeft(options);
    let answer = nobody() ?? refusal(failure(NOT_FOUND, `no connection to collector '${target}'`));
    for (const neighbour of connected) {
      const asked = await ask(neighbour, request, left(), (executorId) => executorId === target);
      answer = asked.answer;
      // At another of its addresses the target would say the same.
      if (asked.hasAnswered || !hasNotRun(answer.status)) break;
    }
    return answer;
  }

  async function dispatchToAny(request: ServeRequest, options: CallOptions): Promise<ServeResponse> {
    const { local, answer } = await runAnywhere(request, FROM_HERE, options);
    if (answer) return answer;
    const { namespace } = request;
    if (local.status.code !== NOT_FOUND || methods.hasNamespace(namespace)) return local;
    return refusal(failure(NOT_FOUND, `no collector found for namespace '${namespace}'`));
  }

  return {
    id,
    address,
    namespaces: () => namespaces,
    connectTo: neighbours.connectTo,
    disconnect: neighbours.disconnect,
    accept: neighbours.accept,
    registerService: methods.register,
    setRegistryValidator: methods.setValidator,
    serve,
    async dispatch(call, options) {
      const wrong = wrongField(call);
      if (wrong !== undefined) return dispatched(refusal(failure(BAD_REQUEST, wrong)));
      const { namespace, service, method_name, input, routing_hints, target_collector_id: target } = call;
      const execution_context = withoutWay(routing_hints);
      const request = { namespace, service, method_name, input, execution_context };
      const answer = target
        ? await dispatchToTarget(target, request, options)
        : await dispatchToAny(request, options);
      return dispatched(answer);
    },
    async setNamespaces(next) {
      namespaces = next;
      await neighbours.announce();
    },
    listConnections: () => connections.list(),
    listActiveConnections: async () => (await connections.list()).filter(({ status }) => status === 'ACTIVE'),
    recoverFromRestart: neighbours.recover,
    shutdown: neighbours.shutdown,
  };
}

const FROM_HERE: Way = { hops: 0, visited: new Set() };

function dispatched({ status, output, executor_id }: ServeResponse): DispatchResponse {
  return { status: withoutVisited(status), output, handled_by_collector_id: executor_id };
}

function withVisited(answer: ServeResponse, visited: ReadonlySet<string>): ServeResponse {
  if (!hasNotRun(answer.status)) return answer;
  const details = { ...answer.status.details, [DETAILS.visited]: [...visited].join(',') };
  return { ...answer, status: { ...answer.status, details } };
}

function withoutVisited(status: Status): Status {
  if (!(DETAILS.visited in status.details)) return status;
  const { [DETAILS.visited]: _visited, ...details } = status.details;
  return { ...status, details };
}
