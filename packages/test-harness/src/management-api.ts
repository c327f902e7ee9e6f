/** The part of RabbitMQ's management API (`/api/…`) that the tests use. */
export type ManagementApi = {
  /** Makes a virtual host that this user may do everything in. */
  createVhost(name: string): Promise<void>;
  deleteVhost(name: string): Promise<void>;
  /** How many messages each queue of a virtual host holds, by the queue's name. */
  queues(vhost: string): Promise<Record<string, QueueDepth>>;
  /** The bindings of a virtual host to exchanges that have a name. */
  bindings(vhost: string): Promise<{ queue: string; exchange: string; routingKey: string }[]>;
  /** Lets a virtual host have so many connections, or as many as come; those that it has stay. */
  limitConnections(vhost: string, limit: number | undefined): Promise<void>;
  /** The connections of a virtual host; one that has just been made may be missing. */
  connections(vhost: string): Promise<BrokerConnection[]>;
  /** Makes a user that may do nothing yet, or gives it another password. */
  createUser(name: string, password: string): Promise<void>;
  /** Its connections end with it. */
  deleteUser(name: string): Promise<void>;
  /** What a user may do in a virtual host: regular expressions. */
  setPermissions(vhost: string, user: string, permissions: Permissions): Promise<void>;
  /** Closes the connection of that {@link BrokerConnection.id}. */
  closeConnection(id: string): Promise<void>;
};

export type Permissions = { configure: string; write: string; read: string };

/** `name` is the one that the client gave it. */
export type BrokerConnection = { id: string; name: string; isTls: boolean };

export type QueueDepth = { ready: number; unacked: number };

/**
 * @param options.url with user and password, as in `http://guest:guest@127.0.0.1:15672`. Every call takes at most 10 s
 *   and throws unless the answer is a 2xx.
 */
export function createManagementApi({ url }: { url: string }): ManagementApi {
  const { origin, username, password } = new URL(url);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const headers = {
    authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
    'content-type': 'application/json',
  };

  async function call(method: string, path: string, body?: object): Promise<Response> {
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(origin + path, { method, headers, body: JSON.stringify(body), signal });
    if (!response.ok) throw new Error(`${method} ${origin}${path} answered ${response.status}`);
    return response;
  }

  return {
    async createVhost(name) {
      await call('PUT', `/api/vhosts/${encodeURIComponent(name)}`);
    },
    async deleteVhost(name) {
      await call('DELETE', `/api/vhosts/${encodeURIComponent(name)}`);
    },
    async queues(vhost) {
      // Without these two parameters the counts come from a statistics database that lags by 5 s and more.
      const query = 'disable_stats=true&enable_queue_totals=true';
      const response = await call('GET', `/api/queues/${encodeURIComponent(vhost)}?${query}`);
      return Object.fromEntries(((await response.json()) as ApiQueue[]).map(toEntry));
    },
    async bindings(vhost) {
      const response = await call('GET', `/api/bindings/${encodeURIComponent(vhost)}`);
      return ((await response.json()) as ApiBinding[])
        .filter(({ source }) => source !== '')
        .map(({ source, destination, routing_key }) => ({
          queue: destination,
          exchange: source,
          routingKey: routing_key,
        }));
    },
    async limitConnections(vhost, limit) {
      const path = `/api/vhost-limits/${encodeURIComponent(vhost)}/max-connections`;
      if (limit === undefined) await call('DELETE', path);
      else await call('PUT', path, { value: limit });
    },
    async connections(vhost) {
      const response = await call('GET', `/api/vhosts/${encodeURIComponent(vhost)}/connections`);
      const all = (await response.json()) as ApiConnection[];
      return all.map(({ name, client_properties, ssl }) => ({
        id: name,
        name: client_properties?.connection_name ?? '',
        isTls: ssl === true,
      }));
    },
    async createUser(name, password) {
      await call('PUT', `/api/users/${encodeURIComponent(name)}`, { password, tags: '' });
    },
    async deleteUser(name) {
      await call('DELETE', `/api/users/${encodeURIComponent(name)}`);
    },
    async setPermissions(vhost, user, permissions) {
      await call('PUT', `/api/permissions/${encodeURIComponent(vhost)}/${user}`, permissions);
    },
    async closeConnection(id) {
      await call('DELETE', `/api/connections/${encodeURIComponent(id)}`);
    },
  };
}

type ApiBinding = { source: string; destination: string; routing_key: string };
type ApiConnection = { name: string; client_properties?: { connection_name?: string }; ssl?: boolean };
type ApiQueue = { name: string; messages_ready?: number; messages_unacknowledged?: number };

function toEntry(queue: ApiQueue): [string, QueueDepth] {
  return [queue.name, { ready: queue.messages_ready ?? 0, unacked: queue.messages_unacknowledged ?? 0 }];
}
