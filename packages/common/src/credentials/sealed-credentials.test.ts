import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { CompactEncrypt, importJWK } from 'jose';
import { type PrivateJwk, parsePrivateJwks, parsePublicJwk } from './credential-keys.ts';
import { createCredentialsOpener, createCredentialsSealer } from './sealed-credentials.ts';

const CANARY = 'canary-password';
const use = {
  client_id: 'user123',
  queue_name: 'user123-data-queue',
  amqp_host: 'localhost',
  amqp_port: 5672,
};
const credentials = { user: 'guest', pass: CANARY };

const key = newKey('first');
const sealer = createCredentialsSealer(publicPart(key));
const opener = createCredentialsOpener([key]);

function newKey(kid: string): PrivateJwk {
  return { ...generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }), kid } as PrivateJwk;
}

function publicPart({ d, ...jwk }: PrivateJwk) {
  return jwk;
}

/** Seals anything, under any header. */
async function sealAny(plaintext: string, header: { alg: string; enc: string; [name: string]: unknown }) {
  return await new CompactEncrypt(new TextEncoder().encode(plaintext))
    .setProtectedHeader(header)
    .encrypt(await importJWK(publicPart(key), header.alg));
}

/** Opening is refused with the one error, which shows nothing. */
async function assertRefused(jwe: unknown, changes: object = {}, by = opener): Promise<void> {
  await assert.rejects(by.open(jwe as string, { ...use, ...changes }), (error: Error) => {
    assert.equal((error as { code?: string }).code, 'invalid-request');
    assert.equal(error.message, 'the credentials cannot be opened, or are not for this client');
    assert.equal(error.cause, undefined);
    assert.ok(!inspect(error, { showHidden: true, depth: 9 }).includes(CANARY));
    return true;
  });
}

describe('sealed credentials', () => {
  test('open to what was sealed', async () => {
    const jwe = await sealer.seal({ ...credentials, ...use });
    assert.deepEqual(await opener.open(jwe, use), credentials);
  });

  test('are a compact JWE by ECDH-ES with X25519 and A256GCM that names its key and shows nothing', async () => {
    const jwe = await sealer.seal({ ...credentials, ...use });
    const [header = '', encryptedKey] = jwe.split('.');
    const { epk, ...rest } = JSON.parse(Buffer.from(header, 'base64url').toString());
    assert.deepEqual(rest, { alg: 'ECDH-ES', enc: 'A256GCM', kid: 'first' });
    assert.deepEqual([epk.kty, epk.crv, epk.d], ['OKP', 'X25519', undefined]);
    assert.equal(encryptedKey, '');
    const decoded = jwe.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'));
    assert.ok(!decoded.join().includes(CANARY));
  });

  test('differ each time', async () => {
    const sealed = { ...credentials, ...use };
    assert.notEqual(await sealer.seal(sealed), await sealer.seal(sealed));
  });

  test('survive any characters, and an object that holds more than they are for', async () => {
    const odd = { user: 'usér"\u0000', pass: '\u{1F511}\\ pass' };
    const jwe = await sealer.seal({ ...odd, ...use, more: 1 } as typeof odd & typeof use);
    assert.deepEqual(await opener.open(jwe, { ...use, credentials: jwe } as typeof use), odd);
  });

  test('open for no other client, queue, host or port', async () => {
    const jwe = await sealer.seal({ ...credentials, ...use });
    await assertRefused(jwe, { client_id: 'user124' });
    await assertRefused(jwe, { queue_name: 'another' });
    await assertRefused(jwe, { amqp_host: 'evil.example' });
    await assertRefused(jwe, { amqp_port: 5673 });
    await assertRefused(jwe, { amqp_port: '5672' });
  });

  test('open with either key while keys are changed, and not with another key of the same name', async () => {
    const second = newKey('second');
    const both = createCredentialsOpener([second, key]);
    for (const { seal } of [sealer, createCredentialsSealer(publicPart(second))])
      assert.deepEqual(await both.open(await seal({ ...credentials, ...use }), use), credentials);
    const jwe = await sealer.seal({ ...credentials, ...use });
    await assertRefused(jwe, {}, createCredentialsOpener([second]));
    await assertRefused(jwe, {}, createCredentialsOpener([newKey('first')]));
  });

  test('are refused when anything in them was changed', async () => {
    const parts = (await sealer.seal({ ...credentials, ...use })).split('.');
    for (const index of [0, 2, 3, 4]) {
      const bytes = Buffer.from(parts[index] ?? '', 'base64url');
      bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1);
      await assertRefused(parts.with(index, bytes.toString('base64url')).join('.'));
    }
  });

  test('are refused under another algorithm, compressed, or without a key id', async () => {
    const plaintext = JSON.stringify({ ...credentials, ...use });
    const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid: 'first' };
    assert.deepEqual(await opener.open(await sealAny(plaintext, header), use), credentials);
    await assertRefused(await sealAny(plaintext, { ...header, alg: 'ECDH-ES+A256KW' }));
    await assertRefused(await sealAny(plaintext, { ...header, enc: 'A128GCM' }));
    await assertRefused(await sealAny(plaintext, { ...header, enc: 'A256CBC-HS512' }));
    await assertRefused(await sealAny(plaintext, { ...header, zip: 'DEF' }));
    await assertRefused(await sealAny(plaintext, { ...header, kid: undefined }));
  });

  test('are refused when they are no JWE, or hold something else', async () => {
    for (const jwe of ['', 'a.b.c.d.e', '....', 'x'.repeat(100_000), undefined, 7, {}])
      await assertRefused(jwe);
    const header = { alg: 'ECDH-ES', enc: 'A256GCM', kid: 'first' };
    const noStrings = JSON.stringify({ user: {}, pass: [CANARY], ...use });
    for (const plaintext of ['null', '7', CANARY, noStrings])
      await assertRefused(await sealAny(plaintext, header));
  });
});

describe('the keys of credentials', () => {
  const pair = newKey('k1');
  const text = JSON.stringify(pair);

  function faultOf(parse: (text: string) => unknown, value: unknown): string {
    try {
      parse(typeof value === 'string' ? value : JSON.stringify(value));
    } catch (error) {
      const shown = inspect(error);
      for (const secret of [pair.d, pair.x, CANARY]) assert.ok(!shown.includes(secret), shown);
      return (error as Error).message;
    }
    return assert.fail(`${value} was taken`);
  }

  test('are read from JSON: one public key, one private key or two', () => {
    const more = { ...publicPart(pair), use: 'enc', alg: 'ECDH-ES' };
    assert.deepEqual(parsePublicJwk(JSON.stringify(more)), publicPart(pair));
    assert.deepEqual(parsePrivateJwks(text), [pair]);
    const second = newKey('k2');
    assert.deepEqual(parsePrivateJwks(JSON.stringify([second, pair])), [second, pair]);
    assert.equal(createPublicKey({ key: publicPart(pair), format: 'jwk' }).asymmetricKeyType, 'x25519');
  });

  test('a private key is refused where the public one belongs, and the other way round', () => {
    assert.match(faultOf(parsePublicJwk, text), /give the public one/);
    assert.match(faultOf(parsePrivateJwks, publicPart(pair)), /no private part/);
  });

  test('anything else is refused by a message that repeats none of it', () => {
    for (const value of [CANARY, `{"d":"${pair.d}"`, 'null', [], [pair], 7])
      assert.match(faultOf(parsePublicJwk, value), /^no X25519 key: /);
    for (const value of [CANARY, [], [pair, pair], [pair, newKey('b'), newKey('c')], [[pair]]])
      assert.match(faultOf(parsePrivateJwks, value), /^no X25519 key: /);
    const wrong = [
      { kty: 'EC' },
      { crv: 'Ed25519' },
      { kid: '' },
      { kid: `${CANARY} ` },
      { kid: undefined },
      { x: 'short' },
      { x: `${pair.x}A` },
      { x: newKey('other').x },
      { d: 'short' },
    ];
    for (const changes of wrong)
      assert.match(faultOf(parsePrivateJwks, { ...pair, ...changes }), /^no X25519 key: /);
  });
});

test('bin/make-sealing-key.mjs prints a key of its own to either stream, which belong together', async () => {
  const program = fileURLToPath(new URL('../../../../bin/make-sealing-key.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [program], { encoding: 'utf8' });
  assert.equal(status, 0);
  const [privateKey] = parsePrivateJwks(stdout);
  const publicKey = parsePublicJwk(/^\{.*\}$/m.exec(stderr)?.[0] ?? '');
  assert.ok(privateKey && !stderr.includes(privateKey.d));
  const jwe = await createCredentialsSealer(publicKey).seal({ ...credentials, ...use });
  assert.deepEqual(await createCredentialsOpener([privateKey]).open(jwe, use), credentials);
  assert.equal(spawnSync(process.execPath, [program, '--help']).status, 1);
});
