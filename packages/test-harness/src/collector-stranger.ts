/**
 * A client and a peer of `collector.CollectiveDispatcher` that know its contract and nothing of Waybill: proto text of
 * their own, and no code of the packages that they are tried against.
 */
import { fileURLToPath } from 'node:url';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const file = fileURLToPath(new URL('./collector-stranger.proto', import.meta.url));
const service = loadSync(file, { keepCase: true, defaults: true })[
  'collector.CollectiveDispatcher'
] as ServiceDefinition;

export type Any = { type_url: string; value: Buffer };
/** An answer to any of the three calls: the fields that it has. */
export type Answer = {
  status: { code: number; message: string; details: Record<string, string> };
  output: Any | null;
  executor_id: string;
  handled_by_collector_id: string;
  connection_id: string;
  shared_namespaces: string[];
  target_collector_id: string;
};
type Method = 'Serve' | 'Connect' | 'Dispatch';
export type Stranger = {
  /** Makes a call; rejects where the gRPC status is not OK. `headers` are metadata, the deadline is a minute from now by default. */
  call(
    method: Method,
    request: object,
    headers?: Record<string, string>,
    deadlineMs?: number,
  ): Promise<Answer>;
  close(): void;
};

/** A client of the collector at `address`. */
export function createStranger(address: string, security = credentials.createInsecure()): Stranger {
  const client = new Client(address, security);
  return {
    call(name, request, headers = {}, deadlineMs = 60_000) {
      const { path, requestSerialize, responseDeserialize } = service[name] as ServiceDefinition[string];
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      const deadline = Date.now() + deadlineMs;
      return new Promise((resolve, reject) => {
        const done = (error: ServiceError | null, answer?: unknown) =>
          error ? reject(error) : resolve(answer as Answer);
        client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          request,
          metadata,
          { deadline },
          done,
        );
      });
    },
    close: () => client.close(),
  };
}

export type StrangerPeer = {
  address: string;
  /** What it was sent, the oldest first. */
  received: { method: Method; request: Record<string, unknown> }[];
  /** What it answers to a Serve; by default 200 with the input as output. */
  onServe: (request: {
    namespace: string;
    method_name: string;
    input: Any | null;
  }) => Promise<object> | object;
  /** What it answers to a Connect; by default 200 with what of its own namespaces it is offered. */
  onConnect: (request: { namespaces: string[] }) => object;
  close(): void;
};

/** A collector of the namespaces `namespaces` that takes Connects and serves whatever it is asked. */
export async function startStrangerPeer(id: string, namespaces: string[]): Promise<StrangerPeer> {
  const server = new Server();
  const ok = (message: string) => ({ code: 200, message });
  const peer: StrangerPeer = {
    address: '',
    received: [],
    onServe: ({ input }) => ({ status: ok('OK'), output: input, executor_id: id }),
    onConnect: ({ namespaces: offered }) => {
      const shared = offered.filter((name) => namespaces.includes(name));
      const status = ok(`Connected with ${shared.length} shared namespaces`);
      return { status, connection_id: 'c-1', shared_namespaces: shared, target_collector_id: id };
    },
    close: () => server.forceShutdown(),
  };
  const handle =
    (method: Method, answer: (request: never) => Promise<object> | object) =>
    async (call: { request: unknown }, callback: (error: null, answer: object) => void) => {
      peer.received.push({ method, request: call.request as Record<string, unknown> });
      callback(null, await answer(call.request as never));
    };
  server.addService(service, {
    Serve: handle('Serve', (request) => peer.onServe(request)),
    Dispatch: handle('Dispatch', (request) => peer.onServe(request)),
    Connect: handle('Connect', (request) => peer.onConnect(request)),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  peer.address = `127.0.0.1:${port}`;
  return peer;
}
