/** JSON Web Tokens of an issuer, as clients of a whole public-web show them, whatever way they come in. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createNimbusStranger, take } from '@waybill/test-harness/nimbus-stranger.ts';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { WebSocket } from 'ws';
import { answer, deliver, pong, usePublicWeb } from '../public-web.fixture.ts';

const issuer = 'https://id.example';
const audience = 'waybill';

describe('public-web with JWT_JWKS_URL', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' }] });
  const issuerServer = createServer((_request, response) => response.end(jwks)).listen(0, '127.0.0.1');
  await once(issuerServer, 'listening');
  after(() => issuerServer.close());
  const { publicWeb } = await usePublicWeb({
    env: {
      JWT_JWKS_URL: `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}/`,
      JWT_ISSUER: issuer,
      JWT_AUDIENCE: audience,
      PUBLIC_EVENT_TYPES: 'PingRequest,nimbus.sq',
      LOG_LEVEL: 'debug',
    },
    async onBatch(events, response) {
      answer(response);
      await deliver(events.map((event) => (event.type === 'nimbus.sq' ? square(event) : pong(event))));
    },
  });
  await publicWeb.ready();
  const { grpcPort } = await publicWeb.waitForLog(({ msg }) => msg === 'listening');
  const client = createNimbusStranger(`127.0.0.1:${grpcPort}`);
  after(client.close);

  const tokenOf = (sub: string, aud = audience) =>
    new SignJWT({ iss: issuer, aud, sub, exp: Date.now() / 1000 + 60 })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey);
  const bearer = (token?: string): Record<string, string> =>
    token === undefined ? {} : { authorization: `Bearer ${token}` };
  const right = bearer(await tokenOf('alice'));
  const wrong = [bearer(), bearer(await tokenOf('alice', 'another'))];

  it('says once that keys come without TLS', () => {
    const lines = publicWeb.logs.filter(({ msg }) => String(msg).startsWith('JWT_JWKS_URL is not https'));
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['warn'],
    );
  });

  it('takes them by HTTP, and names their subject in the log', async () => {
    const get = (headers: Record<string, string>) => fetch(`${publicWeb.baseUrl}/ping`, { headers });
    assert.equal((await get(right)).status, 200);
    const line = await publicWeb.waitForLog(({ event_type }) => event_type === 'PingRequest');
    assert.equal(line.api_key_id, 'jwt/alice');
    for (const headers of wrong) assert.equal((await get(headers)).status, 401);
  });

  it('takes them of those who open a stream of Server-Sent Events', async () => {
    const get = (headers: Record<string, string>) =>
      fetch(`${publicWeb.baseUrl}/clients/shop/events`, { headers });
    // Let in, and told that there is no store.
    assert.equal((await get(right)).status, 501);
    for (const headers of wrong) assert.equal((await get(headers)).status, 401);
  });

  it('takes them of those who open a WebSocket', async () => {
    const open = (headers: Record<string, string>) => {
      const socket = new WebSocket(`${publicWeb.baseUrl.replace('http', 'ws')}/ws`, 'cloudevents.json', {
        headers,
      });
      return new Promise<number>((resolve) => {
        socket.once('open', () => {
          socket.close();
          resolve(101);
        });
        socket.once('unexpected-response', (request, { statusCode = 0 }) => {
          request.destroy();
          resolve(statusCode);
        });
      });
    };
    assert.equal(await open(right), 101);
    for (const headers of wrong) assert.equal(await open(headers), 401);
  });

  it('takes them by gRPC, and ends the calls of others with UNAUTHENTICATED', async () => {
    const stream = client.open({ client_id: 'shop', ...right });
    stream.write({ event_name: 'sq', number: 5 });
    assert.deepEqual(await take(stream, 1), [{ event_name: 'sq', number: 5, result: 25 }]);
    stream.end();
    const line = await publicWeb.waitForLog(({ event_type }) => event_type === 'nimbus.sq');
    assert.equal(line.api_key_id, 'jwt/alice');
    for (const headers of wrong)
      await assert.rejects(take(client.open({ client_id: 'shop', ...headers }), 1), {
        code: status.UNAUTHENTICATED,
      });
  });
});

function square(event: CloudEvent): CloudEvent {
  const { event_name, number } = event.data as { event_name: string; number: number };
  return pong(event, { type: 'nimbus.result', data: { event_name, number, result: number * number } });
}
