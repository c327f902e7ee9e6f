import assert from 'node:assert/strict';
import dns from 'node:dns/promises';
import { syncBuiltinESMExports } from 'node:module';
import { afterEach, describe, it, mock } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';

type Address = { address: string; family: number };

// Before the module under test reads it. A name that is not here does not resolve.
const addresses = new Map<string, Address[]>();
mock.method(dns, 'lookup', async (name: string) => {
  const found = addresses.get(name);
  if (!found) throw new Error(`ENOTFOUND ${name}`);
  return found;
});
syncBuiltinESMExports();
const { createUpstreams } = await import('./upstreams.ts');
type Upstreams = Awaited<ReturnType<typeof createUpstreams>>;
type Upstream = NonNullable<ReturnType<Upstreams['pick']>>;

const log = pino({ level: 'silent' });
let upstreams: Upstreams;
/** How often it was told that there is more room. */
let roomCalls = 0;
/** Whether a failing upstream answers its probe. */
let isWell = false;
afterEach(() => upstreams.close());

function resolveTo(...hosts: string[]): void {
  setAddresses('dispatcher.test', hosts);
}

function setAddresses(name: string, hosts: string[]): void {
  addresses.set(
    name,
    hosts.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  );
}

async function create(...urls: string[]): Promise<void> {
  if (urls.length === 0) urls = ['http://dispatcher.test:8082'];
  roomCalls = 0;
  isWell = false;
  const onRoom = () => {
    roomCalls += 1;
  };
  upstreams = await createUpstreams({ urls, probe: async () => isWell, onRoom, log });
}

/** The upstreams that would get the next batches. */
function candidates(): Upstream[] {
  const tried = new Set<Upstream>();
  for (let next = upstreams.pick(tried); next; next = upstreams.pick(tried)) tried.add(next);
  return [...tried];
}

const origins = () =>
  candidates()
    .map(({ origin }) => origin)
    .sort();

/** Lets a renewal that a mocked timer has started come to its end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe('a dispatcher name', () => {
  it('is as many dispatchers as it has addresses, each with 4 batches under way', async () => {
    resolveTo('127.0.0.1', '127.0.0.2', '::1');
    await create();
    assert.deepEqual(origins(), ['http://127.0.0.1:8082', 'http://127.0.0.2:8082', 'http://[::1]:8082']);
    assert.equal(upstreams.capacity(4), 12);
  });

  it('is resolved anew each minute: new addresses are used, old ones are not, and those that stay are kept', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    resolveTo('127.0.0.1', '127.0.0.2');
    await create();
    const kept = upstreams.pick(new Set());
    resolveTo(...[new URL(kept?.origin ?? '').hostname, '127.0.0.3']);
    t.mock.timers.tick(60_000);
    await settled();
    assert.deepEqual(origins(), [String(kept?.origin), 'http://127.0.0.3:8082'].sort());
    const other = upstreams.pick(new Set([kept as NonNullable<typeof kept>]));
    assert.equal(upstreams.pick(new Set([other as NonNullable<typeof other>])), kept);
  });

  it('that does not resolve yet is no dispatcher, and is found within a second when it does', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    addresses.clear();
    await create();
    assert.deepEqual(origins(), []);
    assert.equal(upstreams.capacity(4), 1, 'a batch must be able to fail');
    t.mock.timers.tick(1_000);
    await settled();
    resolveTo('127.0.0.1');
    t.mock.timers.tick(1_000);
    await settled();
    assert.deepEqual(origins(), ['http://127.0.0.1:8082']);
  });

  it('that resolves no more keeps the addresses it had', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    resolveTo('127.0.0.1');
    await create();
    addresses.clear();
    t.mock.timers.tick(60_000);
    await settled();
    assert.deepEqual(origins(), ['http://127.0.0.1:8082']);
  });
});

describe('an address that passes from one name to another', () => {
  it('gets new connections, for the certificate of the other name, and those of the rest stay', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    setAddresses('a.test', ['127.0.0.1', '127.0.0.2']);
    setAddresses('b.test', ['127.0.0.3']);
    await create('https://a.test:8082', 'https://b.test:8082');
    const at = (address: string) => candidates().find(({ origin }) => origin.includes(address));
    const [passing, staying] = [at('127.0.0.1'), at('127.0.0.2')];
    assert.equal(passing?.hostname, 'a.test');

    setAddresses('a.test', ['127.0.0.2']);
    setAddresses('b.test', ['127.0.0.3', '127.0.0.1']);
    t.mock.timers.tick(60_000);
    await settled();
    assert.equal(at('127.0.0.1')?.hostname, 'b.test');
    assert.equal(at('127.0.0.2'), staying);
    assert.deepEqual([passing?.pool.closed, staying?.pool.closed], [true, false]);
    assert.equal(candidates().length, 3);
  });
});

describe('the next batch', () => {
  it('goes to the upstream with the fewest under way', async () => {
    resolveTo('127.0.0.1', '127.0.0.2', '127.0.0.3');
    await create();
    const counts = Array.from({ length: 9 }, () => {
      const upstream = upstreams.pick(new Set());
      if (upstream) upstream.inFlight += 1;
      return upstream?.inFlight;
    });
    assert.deepEqual(counts, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
  });

  it('goes to them in turn when all are idle', async () => {
    resolveTo('127.0.0.1', '127.0.0.2');
    await create();
    const picked = Array.from({ length: 4 }, () => upstreams.pick(new Set())?.origin);
    assert.equal(new Set(picked).size, 2);
    assert.equal(picked[0], picked[2]);
  });

  it('goes to no failing one, and what that still holds takes no room from the others', async () => {
    resolveTo('127.0.0.1', '127.0.0.2');
    await create();
    const failing = upstreams.pick(new Set());
    assert.ok(failing);
    failing.inFlight = 3;
    upstreams.markFailing(failing, 'test');
    assert.equal(origins().length, 1);
    assert.deepEqual([upstreams.capacity(4), upstreams.partialCapacity(2)], [4 + 3, 2 + 3]);
  });
});

describe('who waits for room', () => {
  it('is told when an upstream fails that holds batches, and when it is well again', async () => {
    resolveTo('127.0.0.1', '127.0.0.2');
    await create();
    const upstream = upstreams.pick(new Set()) as Upstream;
    const end = upstreams.begin(upstream);
    upstreams.markFailing(upstream, 'test');
    assert.deepEqual([roomCalls, upstreams.partialCapacity(1)], [1, 2]);
    end();
    isWell = true;
    await eventually(() => assert.equal(roomCalls, 2));
    assert.equal(upstream.isFailing, false);
  });

  it('is told when a name may have resolved to more', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    resolveTo('127.0.0.1');
    await create();
    resolveTo('127.0.0.1', '127.0.0.2');
    t.mock.timers.tick(60_000);
    await settled();
    assert.deepEqual([roomCalls, upstreams.capacity(4)], [1, 8]);
  });
});

describe('batches that are not full', () => {
  it('are no more at once to several upstreams than to one, and one more for each that is late', async (t) => {
    resolveTo('127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4');
    await create();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const allowed: number[] = [];
    const ends: (() => void)[] = [];
    for (let batches = 0; batches < 4; batches += 1) {
      allowed.push(upstreams.partialCapacity(2));
      ends.push(upstreams.begin(upstreams.pick(new Set()) as Upstream));
      t.mock.timers.tick(250);
    }
    assert.deepEqual(allowed, [2, 3, 4, 4]);
    assert.equal(roomCalls, 4);
    for (const end of ends) end();
    assert.equal(upstreams.partialCapacity(2), 2);
  });

  it('make an upstream late only by what is still under way', async (t) => {
    resolveTo('127.0.0.1', '127.0.0.2', '127.0.0.3');
    await create();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const upstream = upstreams.pick(new Set()) as Upstream;
    upstreams.begin(upstream)();
    t.mock.timers.tick(250);
    assert.deepEqual([upstreams.partialCapacity(2), upstream.inFlight, roomCalls], [2, 0, 0]);
  });

  it('are as many to one that is late as before', async (t) => {
    resolveTo('127.0.0.1');
    await create();
    t.mock.timers.enable({ apis: ['setTimeout'] });
    upstreams.begin(upstreams.pick(new Set()) as Upstream);
    t.mock.timers.tick(250);
    assert.equal(upstreams.partialCapacity(2), 2);
  });
});
