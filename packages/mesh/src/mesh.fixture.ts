/** Sites that are connected by function calls, and links between them that fail as networks do. */
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import {
  type CollectiveDispatcher,
  type CollectiveDispatcherOptions,
  createCollectiveDispatcher,
} from './collective-dispatcher.ts';
import { type Connections, createMemoryConnections } from './connections.ts';
import type { DispatchRequest, DispatchResponse, ServeRequest } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { OpenPeer } from './peer.ts';

/** What becomes of every call over a link. `refuse`: it is not sent; `lose-answer`: it runs, and nobody hears of it. */
export type LinkFault = 'refuse' | 'lose-request' | 'lose-answer' | 'hang';

export type Network = {
  /** Adds a site at the address `<id>:1`, with the namespace `shared` unless other options are given. */
  add(id: string, options?: Partial<CollectiveDispatcherOptions>): CollectiveDispatcher;
  /** Sets, or mends, the fault of the way from one site to another. */
  setFault(from: string, to: string, fault: LinkFault | undefined): void;
  /** Has `site` answer where `id` would. */
  alias(id: string, site: CollectiveDispatcher): void;
  /** Serves sent from site to site so far, as `from>to`. */
  hops: string[];
  /** Connects tried so far, as `from>to`. */
  connects: string[];
  close(): Promise<void>;
};

export function createNetwork(): Network {
  const sites = new Map<string, CollectiveDispatcher>();
  const faults = new Map<string, LinkFault>();
  const hops: string[] = [];
  const connects: string[] = [];

  async function over<T>(
    from: string,
    address: string,
    { deadlineMs }: CallOptions,
    run: (to: CollectiveDispatcher) => Promise<T>,
  ): Promise<T> {
    const to = address.replace(/:1$/, '');
    const site = sites.get(to);
    const fault = faults.get(`${from}>${to}`);
    if (!site || fault === 'refuse') throw new AppError('not-accepted', 'connection refused');
    if (fault === 'lose-request') throw new AppError('outcome-unknown', 'connection lost');
    if (fault === 'hang') {
      await delay(deadlineMs);
      throw new AppError('outcome-unknown', 'deadline exceeded');
    }
    const answer = await run(site);
    if (fault === 'lose-answer') throw new AppError('outcome-unknown', 'connection lost');
    return answer;
  }

  const peersOf =
    (from: string): OpenPeer =>
    (address) => ({
      connect(request, options) {
        connects.push(`${from}>${address.replace(/:1$/, '')}`);
        return over(from, address, options, (site) => site.accept(request));
      },
      serve(request, options) {
        hops.push(`${from}>${address.replace(/:1$/, '')}`);
        return over(from, address, options, (site) => site.serve(request, options));
      },
      check: (options) => over(from, address, options, async () => {}),
      close() {},
    });

  return {
    hops,
    connects,
    alias: (id, site) => void sites.set(id, site),
    add(id, options) {
      const site = createCollectiveDispatcher({
        id,
        address: `${id}:1`,
        namespaces: ['shared'],
        connections: createMemoryConnections(),
        openPeer: peersOf(id),
        checkMs: 20,
        ...options,
      });
      sites.set(id, site);
      return site;
    },
    setFault(from, to, fault) {
      if (fault) faults.set(`${from}>${to}`, fault);
      else faults.delete(`${from}>${to}`);
    },
    async close() {
      for (const site of sites.values()) await site.shutdown();
    },
  };
}

const input = { type_url: 'type.googleapis.com/acme.Name', value: Buffer.from([10, 3, 65, 100, 97]) };

/** A whole ServeRequest for `shared`, `Greeter.Greet`, with `changes`. */
export function serveRequest(changes: Partial<ServeRequest> = {}): ServeRequest {
  return {
    namespace: 'shared',
    service: { namespace: 'shared', service_name: 'Greeter' },
    method_name: 'Greet',
    input,
    execution_context: {},
    ...changes,
  };
}

/** A whole DispatchRequest without a target for the same method, with `changes`. */
export function dispatchRequest(changes: Partial<DispatchRequest> = {}): DispatchRequest {
  const { execution_context, ...call } = serveRequest();
  return { ...call, target_collector_id: '', routing_hints: execution_context, ...changes };
}

/** Long enough for any machine. */
export const patient: CallOptions = { deadlineMs: 60_000 };

/** Dispatches at `site`, patiently. */
export function dispatch(
  site: CollectiveDispatcher,
  changes: Partial<DispatchRequest> = {},
): Promise<DispatchResponse> {
  return site.dispatch(dispatchRequest(changes), patient);
}

/** What `site` has on record, the oldest first. */
export async function recordOf(site: CollectiveDispatcher): Promise<string[]> {
  const connections = await site.listConnections();
  return connections.map(({ direction, peerId, status }) => `${direction} ${peerId} ${status}`);
}

/** The store of a process that starts now, while an earlier one still writes to `connections`. */
export async function copyOf(connections: Connections): Promise<Connections> {
  const copy = createMemoryConnections();
  for (const connection of await connections.list()) await copy.save(connection);
  return copy;
}
