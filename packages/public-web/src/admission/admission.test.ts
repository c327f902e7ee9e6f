import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import type { AppError } from '@waybill/common/errors.ts';
import { createAdmit, shownKey } from './admission.ts';

const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const apiKeys = [
  { id: 'slow', hash: hashOf('slow'), rate: 0.2, burst: 3 },
  { id: 'free', hash: hashOf('free'), types: ['Shop.*'], clients: true },
];
const address = '192.0.2.1';

/** {@link createAdmit} with a clock that the test moves. */
function create({ keys, addressRate = 0 }: { keys?: typeof apiKeys; addressRate?: number }) {
  const clock = { nowMs: 0 };
  return { clock, admit: createAdmit({ apiKeys: keys, addressRate, nowMs: () => clock.nowMs }) };
}

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as AppError).code;
  }
}

describe('admission', () => {
  it('lets everybody send everything, named by nothing, without keys and a limit', () => {
    const { admit } = create({});
    const caller = admit({ key: 'any', address });
    caller.assertMaySend('PingRequest');
    caller.assertMayAddClients();
    caller.assertMayManageMesh();
    caller.countEvents(1_000_000);
    assert.equal(caller.apiKeyId, undefined);
  });

  it('needs a right key where there are keys', () => {
    const { admit } = create({ keys: apiKeys });
    assert.equal(admit({ key: 'free', address }).apiKeyId, 'free');
    for (const key of [undefined, 'wrong', 'slow '])
      assert.equal(
        codeOf(() => admit({ key, address })),
        'unauthorized',
      );
  });

  it('permits what stands with the key', () => {
    const { admit } = create({ keys: apiKeys });
    const [slow, free] = ['slow', 'free'].map((key) => admit({ key, address }));
    assert.equal(
      codeOf(() => slow?.assertMaySend('Anything')),
      undefined,
    );
    assert.equal(
      codeOf(() => free?.assertMaySend('Shop.Order')),
      undefined,
    );
    assert.equal(
      codeOf(() => free?.assertMaySend('PingRequest')),
      'forbidden',
    );
    assert.equal(
      codeOf(() => slow?.assertMayAddClients()),
      'forbidden',
    );
    assert.equal(
      codeOf(() => free?.assertMayAddClients()),
      undefined,
    );
    for (const caller of [slow, free])
      assert.equal(
        codeOf(() => caller?.assertMayManageMesh()),
        'forbidden',
      );
  });

  it('limits a key by its own rate, wherever it is shown, and says when to come again', () => {
    const { admit, clock } = create({ keys: apiKeys, addressRate: 1 });
    for (const from of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) admit({ key: 'slow', address: from });
    assert.throws(() => admit({ key: 'slow', address }), { retryAfterMs: 5000 });
    admit({ key: 'free', address });
    admit({ key: 'free', address });
    clock.nowMs += 5_000;
    assert.equal(admit({ key: 'slow', address }).apiKeyId, 'slow');
  });

  it('counts a batch as its events', () => {
    const { admit } = create({ keys: apiKeys });
    admit({ key: 'slow', address }).countEvents(2);
    assert.equal(
      codeOf(() => admit({ key: 'slow', address }).countEvents(2)),
      'rate-limited',
    );
  });

  it('lets a batch pass that is larger than the burst, when nothing else was sent', () => {
    const { admit } = create({ keys: apiKeys });
    admit({ key: 'slow', address }).countEvents(100);
    assert.throws(() => admit({ key: 'slow', address }), { retryAfterMs: 490000 });
  });

  it('limits those without a right key by their address, IPv6 ones by their network, guessing included', () => {
    const { admit } = create({ keys: apiKeys, addressRate: 1 });
    const first = (from: string) => codeOf(() => admit({ key: 'wrong', address: from }));
    assert.deepEqual([first(address), first(address)], ['unauthorized', 'rate-limited']);
    assert.equal(first('::ffff:192.0.2.2'), 'unauthorized');
    assert.equal(first('::ffff:192.0.2.3'), 'unauthorized');
    assert.equal(first('2001:db8::1'), 'unauthorized');
    assert.equal(first('2001:db8:0:0:ffff::2'), 'rate-limited');
    assert.equal(first('2001:db8:0:0:1:2:3:4'), 'rate-limited');
    assert.equal(first('2001:db8:0:1::1'), 'unauthorized');
    assert.equal(first('::1'), 'unauthorized');
  });

  it('knows the wait to the millisecond, and speaks of whole seconds', () => {
    const { admit } = create({ addressRate: 1000 });
    admit({ key: undefined, address }).countEvents(1000);
    assert.throws(() => admit({ key: undefined, address }), {
      retryAfterMs: 1,
      message: 'too many events; try again in 1 s',
    });
  });
});

it('a key is shown as a bearer token or in x-api-key', () => {
  assert.equal(shownKey('Bearer k', undefined), 'k');
  assert.equal(shownKey('bearer  k ', 'other'), 'k');
  assert.equal(shownKey('Basic k', 'other'), 'other');
  assert.equal(shownKey(undefined, 'other'), 'other');
  for (const none of [undefined, '', 'Bearer', 'Bearer ', 'Bearer a b', 'k'])
    assert.equal(shownKey(none, ''), undefined);
});
