/** A client of `nimbus.NimbusService` that knows its contract and nothing of Waybill: proto text of its own. */
import { fileURLToPath } from 'node:url';
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceDefinition,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';

const file = fileURLToPath(new URL('./nimbus-stranger.proto', import.meta.url));
const service = loadSync(file, { keepCase: true, defaults: true })[
  'nimbus.NimbusService'
] as ServiceDefinition;

export type NimbusRequest = { event_name: string; number: number };
export type NimbusResponse = NimbusRequest & { result: number };
/** Iterating it throws what the call ends with, where that is not OK. */
export type NimbusStream = ClientDuplexStream<NimbusRequest, NimbusResponse>;

export type NimbusStranger = {
  /** Opens a stream; `headers` are its metadata. */
  open(headers?: Record<string, string>): NimbusStream;
  close(): void;
};

/** A client of the server at `address`, with a connection of its own. */
export function createNimbusStranger(address: string): NimbusStranger {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
  const { path, requestSerialize, responseDeserialize } = service.ProcessEvent as ServiceDefinition[string];
  return {
    open(headers = {}) {
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
      // Whoever reads it hears of it all the same.
      return stream.on('error', () => {});
    },
    close: () => client.close(),
  };
}

/** The next `count` answers on a stream, which stays open. */
export async function take(stream: NimbusStream, count: number): Promise<NimbusResponse[]> {
  const taken: NimbusResponse[] = [];
  if (count > 0)
    for await (const response of stream.iterator({ destroyOnReturn: false })) {
      taken.push(response);
      if (taken.length === count) break;
    }
  return taken;
}
