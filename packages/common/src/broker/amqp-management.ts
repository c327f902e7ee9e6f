/** RabbitMQ's management API: what AMQP tells nobody, who is bound to what. */
import { untraced } from '../telemetry/tracing.ts';

const CALL_TIMEOUT_MS = 5_000;

export type ManagementOptions = {
  /** The API, without `/api`. */
  managementUrl: string;
  /** User, password and virtual host are those of this one. The user needs the tag `management`. */
  amqpUrl: string;
};

/** A queue, by what routes messages to it. */
export type QueueBinding = { queue: string; routingKey: string };

/** What a queue holds; a figure is absent until the broker has counted it. */
export type CountedQueue = { name: string; consumers?: number; messages?: number };

/** Each throws when the API does not answer, or refuses: {@link isRefusal}. */
export type Management = {
  /** The queues that are bound to an exchange. */
  bindingsOf(exchange: string): Promise<QueueBinding[]>;
  queue(name: string): Promise<CountedQueue>;
};

/** Creates a {@link Management}, which asks when it is asked. */
export function createManagement({ managementUrl, amqpUrl }: ManagementOptions): Management {
  const { username, password, pathname } = new URL(amqpUrl);
  const vhost = pathname.slice(1) || '%2F';
  const credentials = [username || 'guest', password || 'guest'].map(decodeURIComponent).join(':');
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;

  async function get(path: string): Promise<unknown> {
    const signal = AbortSignal.timeout(CALL_TIMEOUT_MS);
    const url = `${managementUrl}/api/${path}`;
    const response = await untraced(() => fetch(url, { headers: { authorization }, signal }));
    if (response.ok) return response.json();
    // Its connection would stay until it is collected.
    await response.body?.cancel();
    throw new Error(`the management API answered ${response.status}`, { cause: response.status });
  }

  return {
    async bindingsOf(exchange) {
      const bindings = (await get(`exchanges/${vhost}/${exchange}/bindings/source`)) as Binding[];
      return bindings
        .filter(({ destination_type }) => destination_type === 'queue')
        .map(({ destination, routing_key }) => ({ queue: destination, routingKey: routing_key }));
    },
    queue: (name) => get(`queues/${vhost}/${encodeURIComponent(name)}`) as Promise<CountedQueue>,
  };
}

/** Whether the API has refused the user: a wrong one, or one without the tag. Asked again at once, it would answer the same. */
export function isRefusal(error: unknown): boolean {
  const { cause } = error as Error;
  return cause === 401 || cause === 403;
}

type Binding = { destination: string; destination_type: string; routing_key: string };
