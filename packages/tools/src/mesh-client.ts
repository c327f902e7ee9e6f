/** A client of a site of the mesh. */
import { Metadata, type ServiceError, status as Status } from '@grpc/grpc-js';
import type { Any__Output as Any } from '@waybill/common/grpc/generated/google/protobuf/Any.ts';
import type { Connection__Output as Connection } from '@waybill/common/grpc/generated/waybill/Connection.ts';
import type { Site__Output as Site } from '@waybill/common/grpc/generated/waybill/Site.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { connectGrpc, explainGrpc, metadataOf } from './grpc-connection.ts';

export type { Any, Connection, Site };

/** What is called, and with what. */
export type Call = {
  namespace: string;
  service: string;
  method: string;
  input: Any | undefined;
  /** The site that is to run it; whichever serves it, when undefined. */
  target?: string | undefined;
};

export type CallAnswer = {
  /** 200, 400, 404, 500, or what else a site says. */
  code: number;
  message: string;
  details: Record<string, string>;
  output: Any | null;
  /** The site that ran it; empty where none has. */
  handledBy: string;
  /** Undefined where nothing is traced. */
  traceId: string | undefined;
};

export type MeshClient = {
  /** Dispatches a call. @throws UserError when there is no answer at all. */
  call(call: Call): Promise<CallAnswer>;
  /** What the site says of itself, or its peer `target`. @throws UserError when it does not. */
  describe(target?: string): Promise<Site>;
  /** Has the site connect to the one at `address`. @throws UserError when it cannot. */
  connect(address: string): Promise<Connection>;
  /** Ends a connection of the site for good. @throws UserError when there is none of that id. */
  disconnect(connectionId: string): Promise<Connection>;
  close(): void;
};

/** @param address host:port, or https://host:port */
export function createMeshClient(address: string, { timeoutMs }: { timeoutMs: number }): MeshClient {
  const { CollectiveDispatcher } = loadPackage('collector.proto').collector;
  const stub = connectGrpc(CollectiveDispatcher, address);
  const { service: mesh } = loadPackage('mesh.proto').waybill.Mesh;

  async function call({ namespace, service, method, input, target = '' }: Call): Promise<CallAnswer> {
    const request = {
      namespace,
      service: { namespace, service_name: service },
      method_name: method,
      input,
      target_collector_id: target,
    };
    const { answer, metadata } = await dispatch(request);
    // What is generated knows the codes of our own statuses alone.
    const { status, output, handled_by_collector_id: handledBy } = answer as Answer;
    const traceId = String(metadata.get('traceresponse')[0] ?? '').split('-')[1];
    return { code: 0, message: '', details: {}, ...status, output, handledBy, traceId };
  }

  /** Resolves with the answer, and the metadata that came before it. */
  function dispatch(
    request: Parameters<typeof stub.Dispatch>[0],
  ): Promise<{ answer: unknown; metadata: Metadata }> {
    return new Promise((resolve, reject) => {
      let metadata = new Metadata();
      const options = { deadline: Date.now() + timeoutMs };
      stub
        .Dispatch(request, metadataOf(), options, (error, answer) =>
          error ? reject(explain(error)) : resolve({ answer, metadata }),
        )
        .on('metadata', (received: Metadata) => {
          metadata = received;
        });
    });
  }

  function explain(error: ServiceError): UserError {
    if (error.code === Status.DEADLINE_EXCEEDED)
      return new UserError(`no answer from ${address} within ${timeoutMs / 1000} s`);
    if (error.code === Status.UNIMPLEMENTED)
      return new UserError(`what answers at ${address} is no site of a mesh`);
    return explainGrpc(address, error);
  }

  /** Calls a method of the site's own service. */
  async function manage<Request, Shown>(
    method: {
      requestSerialize(request: Request): Buffer;
      responseDeserialize(bytes: Buffer): Shown;
    },
    name: string,
    request: Request,
    target?: string,
  ): Promise<Shown> {
    const input = { type_url: '', value: method.requestSerialize(request) };
    const answer = await call({ namespace: 'waybill', service: 'Mesh', method: name, input, target });
    const { code, message, output } = answer;
    if (code !== 200) throw new UserError(`${target ?? address} answered ${code}: ${message}`);
    return method.responseDeserialize(Buffer.from(output?.value ?? []));
  }

  return {
    call,
    describe: (target) => manage(mesh.Describe, 'Describe', {}, target),
    connect: (to) => manage(mesh.Connect, 'Connect', { address: to }),
    disconnect: (id) => manage(mesh.Disconnect, 'Disconnect', { connection_id: id }),
    close: () => stub.close(),
  };
}

type Answer = {
  status: { code: number; message: string; details: Record<string, string> } | null;
  output: Any | null;
  handled_by_collector_id: string;
};
