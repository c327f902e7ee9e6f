import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { startLoad } from '../e2e/load.ts';
import { createTiers, type Tiers } from './tiers.ts';

const OLD = 'the old secret of the fault tests with more than 32 characters';
const NEW = 'the new secret of the fault tests with more than 32 characters';
const CONCURRENCY = 4;
/** Answers between two changes: so that every process meets every other one. */
const BETWEEN = 50;

describe('the internal secret', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let web: Service;
  let ports: [number, number];
  const all: Service[] = [];
  const dispatchers: Service[] = [];
  /** Where clients go: as a balancer does, not to one that is about to stop. */
  const urls: string[] = [];
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    ports = [await freePort(), await freePort()];
    await tiers.start({ name: 'ping-listener' });
    for (const index of ports.keys()) await startDispatcher(index, OLD);
    await startWeb(OLD);
  });
  after(async () => {
    await tiers?.stopAll();
    await broker?.close();
  });

  async function startDispatcher(index: number, INTERNAL_SECRETS: string): Promise<void> {
    const started = await tiers.startDispatcher({ INTERNAL_SECRETS }, ports[index]);
    dispatchers[index] = started;
    all.push(started);
  }

  async function startWeb(INTERNAL_SECRETS: string): Promise<void> {
    const DISPATCHER_URLS = ports.map((port) => `http://127.0.0.1:${port}`).join(',');
    web = await tiers.startPublicWeb({ INTERNAL_SECRETS, DISPATCHER_URLS });
    urls[0] = web.baseUrl;
    all.push(web);
  }

  async function replaceDispatchers(secrets: string): Promise<void> {
    for (const index of ports.keys()) {
      await tiers.stop(dispatchers[index] as Service);
      await startDispatcher(index, secrets);
      await eventually(() => assert.equal(countOf(web, DOES_NOT_ACCEPT), countOf(web, ACCEPTS_AGAIN)));
    }
  }

  async function replaceWeb(secrets: string): Promise<void> {
    const before = web;
    await startWeb(secrets);
    await tiers.stop(before);
  }

  it('is replaced under load, as operations.md has it, without a failed request or a refused call', async (t) => {
    const load = startLoad({ urls, concurrency: CONCURRENCY });
    t.after(load.stop);
    const answerMore = async () => {
      const before = load.answered();
      await eventually(() => assert.ok(load.answered() >= before + BETWEEN));
    };
    const steps = [`${OLD},${NEW}`, `${NEW},${OLD}`, NEW];
    for (const [step, secrets] of steps.entries()) {
      // The order of the tiers is of no importance.
      const tiersInOrder =
        step % 2 === 0 ? [replaceDispatchers, replaceWeb] : [replaceWeb, replaceDispatchers];
      for (const replace of tiersInOrder) {
        await answerMore();
        await replace(secrets);
      }
    }
    await answerMore();
    const { failures } = await load.stop();

    assert.deepEqual(failures, []);
    const refusals = all.flatMap(({ logs }) => logs).filter(({ reason }) => /\b401\b/.test(String(reason)));
    assert.deepEqual(refusals, []);
    assert.deepEqual([await callWith(OLD), await callWith(NEW)], [401, 200]);
  });

  /** What a dispatcher answers to an empty batch that is signed with `secret`. */
  async function callWith(secret: string): Promise<number> {
    const [path, body] = ['/events', '[]'];
    const { call: keys } = deriveInternalKeys([secret]);
    const signature = signRequest({ method: 'POST', path, body, keys });
    const headers = { 'content-type': BATCH_CONTENT_TYPE, ...signature };
    const url = `${dispatchers[0]?.baseUrl}${path}`;
    return (await fetch(url, { method: 'POST', headers, body })).status;
  }
});

const DOES_NOT_ACCEPT = 'dispatcher does not accept events';
const ACCEPTS_AGAIN = 'dispatcher accepts events again';

function countOf({ logs }: Service, message: string): number {
  return logs.filter(({ msg }: LogLine) => msg === message).length;
}
