import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { SIGNATURE_WINDOW_MS } from '@waybill/common/internal-call/http-signature.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { ask } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

const LITTLE_MS = 2_000;
/** So far that a test that takes its time does not bring it back into the window. */
const MUCH_MS = SIGNATURE_WINDOW_MS + 60_000;
const PINGS = 200;
const CONCURRENCY = 4;

describe('clocks that differ', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker?.close());
  afterEach(() => tiers?.stopAll());

  it('by 2 s either way change nothing', async () => {
    tiers = await createTiers(broker.url);
    const ports = [await freePort(), await freePort()] as const;
    const [early, late] = [offBy(-LITTLE_MS), offBy(LITTLE_MS)];
    const urls = { DISPATCHER_URLS: ports.map((port) => `http://127.0.0.1:${port}`).join(',') };
    await Promise.all([
      tiers.startDispatcher(late, ports[0]),
      tiers.startDispatcher(early, ports[1]),
      tiers.start({ name: 'ping-listener', env: late }),
      tiers.start({ name: 'ping-listener', env: early }),
    ]);
    const webs = [
      await tiers.startPublicWeb({ ...early, ...urls }),
      await tiers.startPublicWeb({ ...late, ...urls }),
    ];
    for (const web of webs) assert.deepEqual(await statusesOf(web), [200]);
    for (const web of webs) assert.equal(await reasonOf(web), undefined);
  });

  it('by more than the window, the dispatcher behind: both refuse readiness with the reason, until it is right', async () => {
    tiers = await createTiers(broker.url);
    const [behind] = await Promise.all([
      tiers.startDispatcher(offBy(-MUCH_MS)),
      tiers.start({ name: 'ping-listener' }),
    ]);
    const web = await tiers.startPublicWeb({}, { becomesReady: false });
    const refused = await ask(web);
    assert.deepEqual([refused.status, refused.body.code], [503, 'not-accepted']);
    assert.match(String(await reasonOf(behind)), /^the clock of a peer is 1[12]\d s ahead of this one's$/);
    assert.match(String(await reasonOf(web)), /^the clock of a peer is 1[12]\d s behind this one's$/);

    await tiers.stop(behind);
    await tiers.startDispatcher();
    await eventually(async () => assert.equal((await ask(web)).status, 200));
    assert.equal(await reasonOf(web), undefined);
  });

  it('by more than the window, the dispatcher ahead: public-web refuses readiness with the reason', async () => {
    tiers = await createTiers(broker.url);
    await tiers.startDispatcher(offBy(MUCH_MS));
    await tiers.start({ name: 'ping-listener' });
    const web = await tiers.startPublicWeb({}, { becomesReady: false });
    assert.equal((await ask(web)).status, 503);
    assert.match(String(await reasonOf(web)), /^the clock of a peer is 1[12]\d s ahead of this one's$/);
  });

  for (const [name, shiftMs, direction] of [
    ['behind', -MUCH_MS, 'ahead of'],
    ['ahead', MUCH_MS, 'behind'],
  ] as const)
    it(`by more than the window, one dispatcher of two ${name}: it refuses readiness, and all are answered`, async () => {
      tiers = await createTiers(broker.url);
      const ports = [await freePort(), await freePort()] as const;
      const [, wrong] = await Promise.all([
        tiers.startDispatcher({}, ports[0]),
        tiers.startDispatcher(offBy(shiftMs), ports[1]),
        tiers.start({ name: 'ping-listener' }),
      ]);
      // It knows only the right one: the other takes replies all the same.
      const web = await tiers.startPublicWeb({ DISPATCHER_URLS: `http://127.0.0.1:${ports[0]}` });
      const statuses = new Set<number>();
      const reason = new RegExp(`^the clock of a peer is 1[12]\\d s ${direction} this one's$`);
      await eventually(async () => {
        statuses.add((await ask(web)).status);
        assert.match(String(await reasonOf(wrong)), reason);
      });
      assert.deepEqual([...statuses], [200]);
      assert.equal(await reasonOf(web), undefined);
    });
});

/** The settings of a process whose clock is off. */
function offBy(ms: number): Record<string, string> {
  const preload = new URL('./shift-clock.ts', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preload}`, CLOCK_SHIFT_MS: String(ms) };
}

/** Why a process is not ready. */
async function reasonOf({ healthPort, port }: Service): Promise<string | undefined> {
  const response = await fetch(`http://127.0.0.1:${healthPort ?? port}/health/ready`);
  return ((await response.json()) as { reason?: string }).reason;
}

/** What many clients of `web` are told, each status once. */
async function statusesOf(web: Service): Promise<number[]> {
  const statuses = new Set<number>();
  const client = async () => {
    for (let sent = 0; sent < PINGS / CONCURRENCY; sent += 1) statuses.add((await ask(web)).status);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, client));
  return [...statuses];
}
