import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import type { ErrorCode } from '../errors.ts';
import { callbackAddress, toCallbackAddress } from './callback-address.ts';
import { deriveInternalKeys, type Key } from './internal-keys.ts';
import { createReplyAddresses, createReplyAddressVerifier, type ReplyAddress } from './reply-address.ts';

const startMs = Date.UTC(2026, 0, 2, 3, 4, 5);
const oldKeys = deriveInternalKeys(['old-secret-old-secret-old-secret']).replyAddress;
const newKeys = deriveInternalKeys(['new-secret-new-secret-new-secret']).replyAddress;
const url = 'http://10.0.0.7:8081/dispatch';
const address = callbackAddress(url, 'web-1');
const claims = { ...address, exp: startMs / 1000 + 180 };

/** A clock to set, with addresses and a verifier that read it. */
function setUp(options: { keys?: Key[]; verifierKeys?: Key[]; maxRemembered?: number } = {}) {
  const clock = { ms: startMs };
  const nowMs = () => clock.ms;
  const { keys = newKeys, verifierKeys = keys, maxRemembered } = options;
  const addresses = createReplyAddresses({ address, keys, maxDeadlineMs: 30_000, nowMs });
  return {
    clock,
    addresses,
    verifier: createReplyAddressVerifier({ keys: verifierKeys, maxRemembered, nowMs }),
  };
}

/** A token by jose, so that what this module reads is what another implementation writes. */
function sign(payload: JWTPayload, [key] = newKeys, alg = 'HS256'): Promise<string> {
  assert(key);
  const secret = Buffer.concat([key.secret, key.secret]).subarray(0, alg === 'HS256' ? 32 : 64);
  return new SignJWT(payload).setProtectedHeader({ alg, kid: key.kid }).sign(secret);
}

async function assertRefused(token: string, message: RegExp, code: ErrorCode = 'forged-reply-address') {
  await assert.rejects(setUp().verifier.verify(token), { name: 'AppError', code, message });
}

test('verifies the address it minted', async () => {
  const { addresses, verifier } = setUp();
  const expMs = startMs + 60_000 + 60_000 + 60_000;
  assert.deepEqual(await verifier.verify(addresses.current()), {
    kind: 'callback',
    url,
    instance: 'web-1',
    progress: true,
    expMs,
  });
});

test('verifies an address minted by another implementation', async () => {
  const address = await setUp().verifier.verify(await sign(claims));
  assert.deepEqual(address, { ...callbackAddress(url, 'web-1'), expMs: claims.exp * 1000 });
});

test('mints once a minute', () => {
  const { clock, addresses } = setUp();
  clock.ms += 1;
  const first = addresses.current();
  clock.ms += 60_000;
  assert.equal(addresses.current(), first);
  clock.ms += 1000; // `exp` counts whole seconds
  assert.notEqual(addresses.current(), first);
});

test('hands out addresses that stay valid for two deadlines on a clock a minute ahead, however the clock jumps', async () => {
  const jumps = fc.array(fc.integer({ min: -100_000, max: 10_000_000 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(jumps, async (jumpsMs) => {
      const { clock, addresses, verifier } = setUp();
      for (const jumpMs of jumpsMs) {
        clock.ms += jumpMs;
        const { expMs } = await verifier.verify(addresses.current());
        assert(expMs - (clock.ms + 60_000) >= 60_000);
      }
    }),
  );
});

test('refuses to mint for what is no http(s) URL, or without a key', () => {
  for (const bad of ['', 'web-1:8081', '/dispatch', 'ftp://web-1/dispatch'])
    assert.throws(() => callbackAddress(bad, 'web-1'), { code: 'invalid-config' });
  const options = { address, keys: [], maxDeadlineMs: 30_000 };
  assert.throws(() => createReplyAddresses(options), { code: 'invalid-config' });
});

test('during a rotation the new key signs, and addresses of the old one verify', async () => {
  const { addresses, verifier } = setUp({ keys: [...newKeys, ...oldKeys] });
  assert.equal(addresses.current(), setUp().addresses.current());
  assert.equal((await verifier.verify(setUp({ keys: oldKeys }).addresses.current())).instance, 'web-1');
});

test('refuses a foreign key, and a foreign secret under a known kid', async () => {
  const [own] = newKeys;
  const [foreign] = oldKeys;
  assert(own && foreign);
  await assertRefused(await sign(claims, oldKeys), /unknown key/);
  await assertRefused(await sign(claims, [{ kid: own.kid, secret: foreign.secret }]), /signature/);
  const callKeys = deriveInternalKeys(['new-secret-new-secret-new-secret']).call;
  await assertRefused(await sign(claims, callKeys), /signature/);
});

test('refuses alg none and every algorithm but HS256', async () => {
  await assertRefused(new UnsecuredJWT(claims).encode(), /./);
  const header = Buffer.from(`{"alg":"none","kid":"${newKeys[0]?.kid}"}`).toString('base64url');
  const [, payload] = (await sign(claims)).split('.');
  await assertRefused(`${header}.${payload}.`, /not allowed/);
  await assertRefused(await sign(claims, newKeys, 'HS512'), /not allowed/);
});

test('refuses any tampered bit of header, claims or signature', async () => {
  const token = await sign(claims);
  const parts = token.split('.').map((part) => Buffer.from(part, 'base64url'));
  const bits = parts.flatMap((part, index) =>
    Array.from({ length: part.length * 8 }, (_, bit) => [index, bit]),
  );
  for (const [index, bit] of bits as [number, number][]) {
    const tampered = parts.map((part) => Buffer.from(part));
    const part = tampered[index] as Buffer;
    part[bit >> 3] = (part[bit >> 3] as number) ^ (1 << (bit & 7));
    await assertRefused(tampered.map((bytes) => bytes.toString('base64url')).join('.'), /refused/);
  }
});

test('refuses an expired address', async () => {
  await assertRefused(await sign({ ...claims, exp: startMs / 1000 }), /expired/, 'expired-reply-address');
});

test('refuses a remembered address once it has expired, and forgets it', async () => {
  const { clock, verifier } = setUp();
  const token = await sign(claims);
  await verifier.verify(token);
  clock.ms = claims.exp * 1000 - 1;
  await verifier.verify(token);
  assert.equal(verifier.remembered, 1);
  clock.ms += 1;
  await assert.rejects(verifier.verify(token), { code: 'expired-reply-address' });
  assert.equal(verifier.remembered, 0);
});

test('knows no kinds: an address of any is verified, with all that it says', async () => {
  const webhook = { kind: 'webhook', to: ['here'], exp: claims.exp };
  const { exp: _, ...says } = webhook;
  assert.deepEqual(await setUp().verifier.verify(await sign(webhook)), {
    ...says,
    expMs: claims.exp * 1000,
  });
  await assertRefused(await sign(webhook, oldKeys), /unknown key/);
  await assertRefused(await sign({ ...webhook, exp: startMs / 1000 }), /expired/, 'expired-reply-address');
  for (const kind of [undefined, 1]) await assertRefused(await sign({ ...claims, kind }), /no kind/);
  await assertRefused(await sign({ ...claims, exp: undefined }), /"exp" claim/);
});

test('a callback address that is missing something, or malformed, is none', () => {
  const expMs = claims.exp * 1000;
  assert.deepEqual(toCallbackAddress({ ...address, expMs }), { kind: 'callback', url, instance: 'web-1' });
  const changes = [
    { kind: 'webhook' },
    { url: undefined },
    { url: 'file:///etc/passwd' },
    { url: 'javascript:0' },
    { url: 7 },
    { instance: undefined },
    { instance: 1 },
  ];
  for (const change of changes)
    assert.throws(() => toCallbackAddress({ ...address, expMs, ...change } as ReplyAddress), {
      code: 'unknown-reply-address',
    });
});

test('refuses what is no JWT, and a token over 4 kB before parsing it', async () => {
  for (const token of ['', 'a.b', 'a.b.c', '..', 'a.b.c.d.e']) await assertRefused(token, /refused/);
  await assertRefused(await sign({ ...claims, padding: 'x'.repeat(4096) }), /too long/);
});

test('verifies a token once, even when asked many times at once', async () => {
  let lookups = 0;
  const [key] = newKeys;
  assert(key);
  const counted: Key = {
    get kid() {
      lookups++;
      return key.kid;
    },
    secret: key.secret,
  };
  const { verifier } = setUp({ keys: newKeys, verifierKeys: [counted] });
  const token = await sign(claims);
  await Promise.all([verifier.verify(token), verifier.verify(token), verifier.verify(token)]);
  await verifier.verify(token);
  assert.equal(lookups, 1);
});

test('remembers no more than the bound, drops the oldest, and verifies that again', async () => {
  const { verifier } = setUp({ maxRemembered: 3 });
  const tokens = await Promise.all([1, 2, 3, 4].map((jti) => sign({ ...claims, jti: `${jti}` })));
  for (const token of tokens) await verifier.verify(token);
  assert.equal(verifier.remembered, 3);
  assert.equal((await verifier.verify(tokens[0] as string)).instance, 'web-1');
  assert.equal(verifier.remembered, 3);
});

test('forgets expired addresses nobody asks for again, and never remembers failures', async () => {
  const { clock, verifier } = setUp();
  for (let jti = 0; jti < 5; jti++) await verifier.verify(await sign({ ...claims, jti: `${jti}` }));
  assert.equal(verifier.remembered, 5);
  clock.ms += 180_000;
  await verifier.verify(await sign({ ...claims, exp: claims.exp + 120 }));
  assert.equal(verifier.remembered, 1);
  await assert.rejects(verifier.verify(await sign(claims, oldKeys)));
  assert.equal(verifier.remembered, 1);
});

test('mints exactly the compact form of RFC 7515', () => {
  const [key] = newKeys;
  assert(key);
  const [header, payload, signature] = setUp().addresses.current().split('.');
  assert.equal(Buffer.from(`${header}`, 'base64url').toString(), `{"alg":"HS256","kid":"${key.kid}"}`);
  assert.deepEqual(JSON.parse(Buffer.from(`${payload}`, 'base64url').toString()), claims);
  const expected = createHmac('sha256', key.secret).update(`${header}.${payload}`).digest('base64url');
  assert.equal(signature, expected);
});
