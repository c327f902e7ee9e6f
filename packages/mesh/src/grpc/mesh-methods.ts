/**
 * What a site says of its mesh, and does when it is told to: the service of `proto/mesh.proto`. Its methods are called as those of
 * users are, so a site can ask another one for it, and what may be asked is settled where calls come in.
 */
import type { MethodDefinition } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { Address__Output as Address } from '@waybill/common/grpc/generated/waybill/Address.ts';
import type { Connection as Shown } from '@waybill/common/grpc/generated/waybill/Connection.ts';
import type { ConnectionId__Output as ConnectionId } from '@waybill/common/grpc/generated/waybill/ConnectionId.ts';
import type { Site } from '@waybill/common/grpc/generated/waybill/Site.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import type { CollectiveDispatcher } from '../collective-dispatcher.ts';
import type { Connection } from '../connections.ts';

/** Waybill's own namespace, which is nobody else's and shared with nobody. */
export const OWN_NAMESPACE = 'waybill';

type Definition = Record<string, MethodDefinition<unknown, unknown>>;

/** Has `site` serve `waybill.Mesh`. */
export function registerMeshMethods(site: CollectiveDispatcher): void {
  const definition: Definition = loadPackage('mesh.proto').waybill.Mesh.service;
  const methods: Record<string, [output: string, run: (input: never) => Promise<object>]> = {
    Describe: ['Site', () => describe(site)],
    Connect: ['Connection', async ({ address }: Address) => shown(await site.connectTo(address))],
    Disconnect: [
      'Connection',
      async ({ connection_id }: ConnectionId) => shown(await site.disconnect(connection_id)),
    ],
  };
  for (const [method, [output, run]] of Object.entries(methods)) {
    const { requestDeserialize, responseSerialize } = definition[method] as Definition[string];
    site.registerService(OWN_NAMESPACE, 'Mesh', method, async ({ input }) => {
      const request = read(requestDeserialize, input?.value ?? []);
      const value = responseSerialize(await run(request as never));
      return { type_url: `type.googleapis.com/${OWN_NAMESPACE}.${output}`, value };
    });
  }
}

function read(deserialize: (bytes: Buffer) => unknown, bytes: Uint8Array | never[]): unknown {
  try {
    return deserialize(Buffer.from(bytes));
  } catch (cause) {
    throw new AppError('invalid-request', 'the input is none of this method', { cause });
  }
}

async function describe(site: CollectiveDispatcher): Promise<Site> {
  const { id, address } = site;
  const connections = await site.listConnections();
  return { id, address, namespaces: [...site.namespaces()], connections: connections.map(shown) };
}

function shown(connection: Connection): Shown {
  return {
    connection_id: connection.connectionId,
    direction: connection.direction,
    address: connection.address,
    peer_id: connection.peerId,
    shared_namespaces: [...connection.sharedNamespaces],
    status: connection.status,
    connected_at: connection.connectedAt,
    ended_at: connection.endedAt ?? '',
    reason: connection.reason ?? '',
    calls: connection.calls,
    failed_calls: connection.failedCalls,
    bytes_sent: connection.bytesSent,
    bytes_received: connection.bytesReceived,
  };
}
