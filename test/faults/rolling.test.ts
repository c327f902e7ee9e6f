/** A rolling restart of every tier under load. No proxies: a port that is closed must refuse, not take and reset. */
import assert from 'node:assert/strict';
import { kill } from 'node:process';
import { after, before, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { SHUTDOWN_DEADLINE_MS } from '@waybill/common/shutdown-bounds.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { makePrivateKey, publicKeyOf } from '../../bin/plain/sealing-keys.mjs';
import { connectClient, contradictions, firstOccurrences, repetitions } from '../e2e/dataset-consumer.ts';
import { brokerOf } from '../e2e/system.ts';
import { startLoad } from './load.ts';
import type { Operation } from './operation.ts';
import { startStreams } from './streams.ts';
import { createTiers, type Tiers } from './tiers.ts';
import { assertFewSlow, isOfSlowBroker } from './under-load.ts';

const RATE_PER_S = 200;
/** The default. */
const DEADLINE_MS = 30_000;
/** Answers of each public-web before the first is replaced, and after the last. */
const STEADY = 100;
/**
 * Requests sent on connections that were being closed: none on a quiet machine, and up to 22 seen on one that is very
 * busy. This is half a second's worth of one public-web.
 */
const MAX_RESETS = RATE_PER_S / 4;
/** A dataset has 10,000 rows, and streams are to be under way whenever something is replaced. */
const BATCH_SIZE = 10;
const BATCHES = 1_000;
/** A place in a tier: the processes that have held it, the present one last. */
type Place = { services: Service[]; start(): Promise<Service>; replacedMs?: { from: number; to: number } };

describe('two of each tier', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let webs: Place[];
  let dispatchers: Place[];
  let listeners: Place[];
  let dataListeners: Place[];
  let datasets: Place;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    const privateKey = makePrivateKey();
    const GRPC_PORT = String(await freePort());
    const CLIENT_BROKERS = brokerOf(broker.url);
    const dispatcherPorts = [await freePort(), await freePort()];
    const webPorts = [await freePort(), await freePort()];
    const DISPATCHER_URLS = dispatcherPorts.map((port) => `http://127.0.0.1:${port}`).join();
    dispatchers = await fill((index) => tiers.startDispatcher({}, dispatcherPorts[index]));
    listeners = await fill(() => tiers.start({ name: 'ping-listener' }));
    webs = await fill((index) =>
      tiers.startPublicWeb({
        ...{ DISPATCHER_URLS, PORT: `${webPorts[index]}`, GRPC_PORT: '0', CLIENT_BROKERS },
        CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(privateKey)),
      }),
    );
    const startDatasets = () => tiers.start({ name: 'dataset-generator', env: { GRPC_PORT } });
    datasets = { services: [await startDatasets()], start: startDatasets };
    const env = {
      ...{ DATASET_SERVICE_ADDR: `127.0.0.1:${GRPC_PORT}`, CLIENT_BROKERS, TCP_PORT: '0' },
      ...{ CREDENTIALS_PRIVATE_KEYS: JSON.stringify([privateKey]), BATCH_SIZE: `${BATCH_SIZE}` },
    };
    dataListeners = await fill(() => tiers.start({ name: 'data-dispatch-listener', env }));
  });
  after(async () => {
    await tiers?.stopAll();
    await broker?.close();
  });

  it('are replaced one by one under load, told twice to stop, and no request fails', async (t) => {
    const urls = webs.map((web) => present(web).baseUrl);
    const load = startLoad({ urls, ratePerS: RATE_PER_S, seed: 1, deadlineMs: DEADLINE_MS, isPatient: true });
    await answersOf(webs);
    for (const place of listeners) await replace(place);
    for (const place of dispatchers) await replaceAndFind(place);
    for (const place of webs) await replace(place);
    await answersOf(webs);
    const { operations } = await load.stop();

    const published = publishedBy(dispatchers);
    const failed = operations
      .filter(({ outcome }) => outcome !== 'answered')
      .map((operation) => ({ ...operation, why: whyFailed(operation, published.has(operation.id)) }));
    const count = (why: string) => failed.filter((operation) => operation.why === why).length;
    t.diagnostic(`${operations.length} pings: ${count('gone')} to a public-web that was gone`);
    t.diagnostic(`${count('reset')} on a connection that was being closed`);
    assertFewSlow(t, count('slow broker'), operations.length);
    const resets = failed.filter(({ why }) => why === 'reset');
    assert.ok(resets.length <= MAX_RESETS, JSON.stringify(resets));
    assert.deepEqual(
      failed.filter(({ why }) => why === 'a restart'),
      [],
    );
    await broker.emptied();
  });

  it('are replaced one by one while they stream datasets, and each batch is published once', async (t) => {
    const model = await connectClient(broker.url);
    t.after(() => breakConnection(model, new Error('the test is over')));
    const streams = startStreams({
      urls: webs.map((web) => present(web).baseUrl),
      amqpUrl: broker.url,
      model,
    });
    t.after(streams.stop);
    await streams.progress();
    for (const place of [datasets, ...dataListeners, ...dispatchers, ...webs]) {
      await replace(place);
      await streams.progress();
    }
    const ended = await streams.stop();
    t.diagnostic(`${ended.length} streams`);
    for (const received of ended) {
      assert.deepEqual(
        firstOccurrences(received),
        Array.from({ length: BATCHES }, (_, index) => index),
      );
      assert.equal(new Set(received.map(({ streamId }) => streamId)).size, 1);
      assert.deepEqual(contradictions(received), []);
      assert.deepEqual(repetitions(received), []);
    }
    await broker.emptied();
  });

  /**
   * `gone`: connections refused by a public-web that was being replaced, so that clients, or what balances them, go to
   * the other one. `reset`: sent just when its connection, idle for half a second, was closed, which HTTP cannot
   * prevent (RFC 9112, section 9.3.1): no tier has seen it.
   */
  function whyFailed(
    operation: Operation,
    isPublished: boolean,
  ): 'slow broker' | 'gone' | 'reset' | 'a restart' {
    const { publicWeb, startMs, status, outcome } = operation;
    const { from, to } = webs[publicWeb]?.replacedMs ?? { from: Infinity, to: 0 };
    if (isPublished) return 'a restart';
    if (status === 0 && startMs >= from && startMs <= to) return outcome === 'refused' ? 'gone' : 'reset';
    return isOfSlowBroker(operation) ? 'slow broker' : 'a restart';
  }

  /** As docs/operations.md has it: on to the next when this one is ready, and public-webs have found it. */
  async function replaceAndFind(dispatcher: Place): Promise<void> {
    const before = webs.map(findings);
    await replace(dispatcher);
    const haveFound = () => webs.every((web, index) => findings(web) > (before[index] as number));
    await eventually(() => assert.ok(haveFound()));
  }

  /** Tells it to stop, twice, and starts another in its place; resolves when that is ready. */
  async function replace(place: Place): Promise<void> {
    const from = Date.now();
    kill(present(place).pid, 'SIGTERM');
    await tiers.stop(present(place));
    const tookMs = Date.now() - from;
    assert.ok(tookMs < SHUTDOWN_DEADLINE_MS, `${present(place).name} took ${tookMs} ms to stop`);
    place.services.push(await place.start());
    place.replacedMs = { from, to: Date.now() };
  }
});

function fill(start: (index: number) => Promise<Service>): Promise<Place[]> {
  return Promise.all(
    [0, 1].map(async (index) => ({ services: [await start(index)], start: () => start(index) })),
  );
}

function present({ services }: Place): Service {
  return services.at(-1) as Service;
}

/** How often a public-web has found a dispatcher that did not answer before. */
function findings(web: Place): number {
  return present(web).logs.filter(({ msg }) => msg === 'dispatcher accepts events again').length;
}

/** What any dispatcher there was has published or tried to, by its log. */
function publishedBy(dispatchers: Place[]): Set<unknown> {
  const lines = dispatchers.flatMap(({ services }) => services.flatMap(({ logs }) => logs));
  const isPublished = lines.filter(
    ({ msg, outcome }) => msg === 'event published' && outcome !== 'not-accepted',
  );
  return new Set(isPublished.map(({ event_id }) => event_id));
}

/** Resolves when each has answered some more. */
async function answersOf(webs: Place[]): Promise<void> {
  const counts = () =>
    webs.map((web) => present(web).logs.filter(({ msg }) => msg === 'event answered').length);
  const before = counts();
  const haveAll = () => counts().every((count, index) => count >= (before[index] as number) + STEADY);
  await eventually(() => assert.ok(haveAll()));
}
