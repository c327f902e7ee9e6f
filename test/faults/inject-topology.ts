/** Does to what the services have declared what an operator might, and waits until they have mended it. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import { declareTopology } from '@waybill/common/broker/amqp-declare-topology.ts';
import { EVENTS_EXCHANGE, listenerTopology } from '@waybill/common/broker/amqp-topology.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import type { Rabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { type Channel, connect } from 'amqplib';
import type { TopologyFault } from './schedule.ts';

const TYPE = 'PingRequest';
const PING = listenerTopology('ping', [TYPE]);
/** Not the dead letters: they are what tells of the events that were given up. */
const QUEUES = PING.queues.filter(({ name }) => name !== 'waybill.dead-letters');
/** A service that has been here once, and the routing key that nobody else takes. */
const RETIRED = 'retired';
const RETIRED_KEY = 'retired.Ping';
/** Between two events for it. */
const PAUSE_MS = 5;
/** All that a process may miss: configure, write, read. */
const PERMISSIONS = [
  ['^$', '.*', '.*'],
  ['.*', '^$', '.*'],
  ['.*', '.*', '^$'],
];
/** A broker that was killed a moment ago may still be starting. */
const PATIENCE = { timeoutMs: 30_000, intervalMs: 200 };

export type TopologyFaultOptions = {
  kind: TopologyFault;
  which: number;
  durationMs: number;
  broker: Rabbitmq;
};

export type TopologyFaultResult = {
  /** When a queue was deleted, with what was in it; since the epoch. */
  deletedMs?: number;
  /** The ids of the events that waited for a service when it was retired. */
  moved?: string[];
};

/** Resolves when it is mended. */
export async function injectIntoTopology(options: TopologyFaultOptions): Promise<TopologyFaultResult> {
  const { kind, which, durationMs, broker } = options;
  const pick = <T>(all: readonly T[]) => all[which % all.length] as T;
  const on = <T>(use: (channel: Channel) => Promise<T>) => onChannel(broker.url, use);
  if (kind === 'delete-exchange') {
    const { name } = pick(PING.exchanges);
    await on((channel) => channel.deleteExchange(name));
    await untilThere(broker);
  } else if (kind === 'delete-binding') {
    const { queue, exchange, routingKey } = pick(PING.bindings);
    await on((channel) => channel.unbindQueue(queue, exchange, routingKey));
    await untilThere(broker);
  } else if (kind === 'delete-queue') {
    const { name } = pick(QUEUES);
    await on((channel) => channel.deleteQueue(name));
    const deletedMs = Date.now();
    await untilThere(broker);
    return { deletedMs };
  } else if (kind === 'shorten-queues') {
    const pattern = '^waybill\\.(ping|replies)(\\.(retry.*|isolated))?$';
    const policy = ['shorten', pattern, '{"max-length":5}', '--apply-to', 'queues'];
    await eventually(() => broker.ctl('set_policy', ...policy), PATIENCE);
    await delay(durationMs);
    await eventually(() => broker.ctl('clear_policy', 'shorten'), PATIENCE);
  } else if (kind === 'take-permission') {
    await eventually(() => broker.ctl('set_permissions', 'guest', ...pick(PERMISSIONS)), PATIENCE);
    await delay(durationMs);
    await eventually(() => broker.ctl('set_permissions', 'guest', '.*', '.*', '.*'), PATIENCE);
  } else {
    await on((channel) => declareTopology(channel, listenerTopology(RETIRED, [RETIRED_KEY])));
    const over = new AbortController();
    const moved = sendPings(broker.url, RETIRED_KEY, over.signal);
    await delay(durationMs);
    const args = ['bin/retire-service.mjs', RETIRED, '--to', 'ping', '--amqp', broker.url];
    await eventually(() => promisify(execFile)(process.execPath, args), PATIENCE).finally(() => over.abort());
    return { moved: await moved };
  }
  return {};
}

/** Sends pings that nobody waits for, until `signal`; resolves with the ids of those that the broker has in a queue. */
async function sendPings(url: string, routingKey: string, signal: AbortSignal): Promise<string[]> {
  const confirmed: string[] = [];
  const returned = new Set<string>();
  const model = await connect(url);
  model.on('error', () => {});
  try {
    const channel = await model.createConfirmChannel();
    channel.on('error', () => {});
    channel.on('return', ({ properties }) => returned.add(properties.messageId));
    for (; !signal.aborted; await delay(PAUSE_MS)) {
      const id = `retired-${randomUUID()}`;
      const event = { specversion: '1.0' as const, id, source: '/test', type: TYPE, data: { sentAt: 0 } };
      const { contentType, body } = encodeMessage([encodeEvent(event)]);
      const options = { contentType, messageId: id, persistent: true, mandatory: true };
      channel.publish(EVENTS_EXCHANGE, routingKey, body, options);
      await channel.waitForConfirms();
      confirmed.push(id);
    }
  } catch {
    // Its connection is cut by a fault: what has no confirm is owed to nobody.
  } finally {
    await model.close().catch(() => {});
  }
  return confirmed.filter((id) => !returned.has(id));
}

function onChannel<T>(url: string, use: (channel: Channel) => Promise<T>): Promise<T> {
  return eventually(async () => {
    const model = await connect(url);
    model.on('error', () => {});
    try {
      const channel = await model.createChannel();
      channel.on('error', () => {});
      return await use(channel);
    } finally {
      await model.close().catch(() => {});
    }
  }, PATIENCE);
}

/** And written down: RabbitMQ 3.10 forgets a quorum queue that was declared within the last second, when it is killed. */
async function untilThere(broker: Rabbitmq): Promise<void> {
  const { exchanges, queues, bindings } = PING;
  const api = createManagementApi({ url: broker.managementUrl });
  await onChannel(broker.url, async (channel) => {
    for (const { name } of exchanges) await channel.checkExchange(name);
    for (const { name } of queues) await channel.checkQueue(name);
    const found = await api.bindings('/');
    for (const binding of bindings)
      if (!found.some((other) => isDeepStrictEqual(other, binding))) throw new Error('a binding is missing');
  });
  await broker.ctl('eval', '[dets:sync(Table) || Table <- dets:all()].');
}
