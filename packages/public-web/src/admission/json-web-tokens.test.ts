import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import Fastify from 'fastify';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { requireAdmission } from '../ways-in/http/admit-request.ts';
import { createAdmit } from './admission.ts';
import { createVerifyToken, isToken } from './json-web-tokens.ts';

const issuer = 'https://id.example';
const audience = 'waybill';

describe('a JSON Web Token', () => {
  let server: Server;
  let jwksUrl: string;
  let key: CryptoKey;
  let fetches = 0;
  let isDown = false;

  before(async () => {
    const pair = await generateKeyPair('ES256');
    key = pair.privateKey;
    const jwks = { keys: [{ ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' }] };
    server = createServer((_request, response) => {
      fetches += 1;
      response.statusCode = isDown ? 500 : 200;
      response.end(JSON.stringify(jwks));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  });
  after(() => server.close());

  const sign = (
    changes: JWTPayload = {},
    { alg = 'ES256', kid = 'k1', by = key as CryptoKey | Uint8Array } = {},
  ) =>
    new SignJWT({ iss: issuer, aud: audience, sub: 'alice', exp: Date.now() / 1000 + 60, ...changes })
      .setProtectedHeader({ alg, kid })
      .sign(by);
  const create = () => createVerifyToken({ jwksUrl, issuer, audience });

  it('says whose it is, and is verified once', async () => {
    const verify = create();
    const token = await sign();
    fetches = 0;
    assert.equal(await verify(token), 'alice');
    isDown = true;
    assert.equal(await verify(token), 'alice');
    isDown = false;
    assert.equal(fetches, 1);
    assert.equal(await verify(await sign({ sub: 'bob' })), 'bob');
  });

  it('is refused when it is of or for somebody else, expired, unsigned, or says no subject', async () => {
    const verify = create();
    const { privateKey: other } = await generateKeyPair('ES256');
    const shared = new TextEncoder().encode(
      JSON.stringify(await exportJWK((await generateKeyPair('ES256')).publicKey)),
    );
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${(await sign()).split('.')[1]}.`;
    const wrong: Record<string, string> = {
      'of another issuer': await sign({ iss: 'https://evil.example' }),
      'for another audience': await sign({ aud: 'shop' }),
      expired: await sign({ exp: Date.now() / 1000 - 60 }),
      'for ever': await sign({ exp: undefined }),
      'not yet': await sign({ nbf: Date.now() / 1000 + 60 }),
      'of nobody': await sign({ sub: undefined }),
      'of no name': await sign({ sub: 'a\nb' }),
      'of half a character': await sign({ sub: 'a\ud800' }),
      'of a long name': await sign({ sub: '€'.repeat(43) }),
      'signed by another key': await sign({}, { by: other }),
      'signed by an unknown key': await sign({}, { kid: 'k2' }),
      'signed by what is public': await sign({}, { alg: 'HS256', by: shared }),
      unsigned,
      'no token': 'a.b.c',
      long: await sign({ text: 'x'.repeat(8_192) }),
    };
    for (const [what, token] of Object.entries(wrong))
      await assert.rejects(verify(token), { code: 'unauthorized' }, what);
  });

  it('is told 503 while the keys of its issuer cannot be had, and taken once they can', async () => {
    const verify = createVerifyToken({ jwksUrl, issuer, audience, fetchAgainMs: 0 });
    isDown = true;
    await assert.rejects(verify(await sign()), { code: 'not-accepted' });
    isDown = false;
    assert.equal(await verify(await sign()), 'alice');
  });

  it('has keys that could not be had fetched no more for a while, whoever asks', async () => {
    const verify = create();
    isDown = true;
    fetches = 0;
    for (let tries = 0; tries < 3; tries += 1)
      await assert.rejects(verify(await sign()), { code: 'not-accepted' });
    isDown = false;
    assert.equal(fetches, 1);
  });

  it('is verified again after 10 minutes, in case its key was withdrawn', async (t) => {
    const verify = create();
    const token = await sign({ exp: Date.now() / 1000 + 3_600 });
    await verify(token);
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 10 * 60_000 + 1 });
    isDown = true;
    await assert.rejects(verify(token), { code: 'not-accepted' });
    isDown = false;
  });

  it('is told from an API key by its form', async () => {
    assert.equal(isToken(await sign()), true);
    for (const shown of [undefined, '', 'waybill_abc', 'a.b', 'a.b.c.d']) assert.equal(isToken(shown), false);
  });

  it('lets its subject in as a client of its own, with a limit of its own', async () => {
    const app = Fastify();
    const hash = `sha256:${'0'.repeat(64)}`;
    const admit = createAdmit({
      apiKeys: [{ id: 'alice', hash, clients: true }],
      addressRate: 0,
      subjectRate: 1,
      nowMs: () => 0,
    });
    app.setErrorHandler((error: { code?: string }, _request, reply) => reply.send({ refused: error.code }));
    app.register(async (guarded) => {
      requireAdmission(guarded, admit, { verifyToken: create() });
      guarded.get('/', async ({ caller }) => {
        caller.assertMaySend('PingRequest');
        assert.throws(() => caller.assertMayAddClients(), { code: 'forbidden' });
        return {
          id: caller.apiKeyId,
          sameByTicket: admit({ key: undefined, apiKeyId: 'alice', address: '' }).apiKeyId,
        };
      });
    });
    const get = async (token?: string) =>
      (await app.inject({ url: '/', headers: token ? { authorization: `Bearer ${token}` } : {} })).json();

    assert.deepEqual(await get(await sign()), { id: 'jwt/alice', sameByTicket: 'alice' });
    assert.deepEqual(await get(await sign()), { refused: 'rate-limited' });
    assert.equal((await get(await sign({ sub: 'bob' }))).id, 'jwt/bob');
    assert.equal(admit({ key: undefined, apiKeyId: 'jwt/carol', address: '' }).apiKeyId, 'jwt/carol');
    assert.deepEqual(await get(await sign({ aud: 'shop' })), { refused: 'unauthorized' });
    assert.deepEqual(await get(), { refused: 'unauthorized' });
  });
});
