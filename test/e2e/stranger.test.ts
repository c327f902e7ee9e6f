/** Whoever has no secret of ours achieves nothing on the ports of HTTP (docs/security.md), shown on the whole system. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { INTERNAL_ATTRIBUTES } from '@waybill/common/event/event.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { keys, otherKeys, startTap, startTrap, type Tap, type Trap, tokenOf } from './stranger.fixture.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

describe('a stranger', () => {
  let broker: TestBroker;
  let system: System;
  let guarded: Service;
  let tap: Tap;
  let trap: Trap;
  before(async () => {
    [broker, trap] = await Promise.all([freshBroker(), startTrap()]);
    system = await startSystem({ amqpUrl: broker.url, env: { PUBLIC_EVENT_TYPES: '*' } });
    tap = await startTap(broker.url);
    guarded = await startService({
      name: 'public-web',
      env: {
        INTERNAL_SECRETS,
        DISPATCHER_URLS: dispatcher().baseUrl,
        GRPC_PORT: '0',
        API_KEYS: JSON.stringify([{ id: 'shop', hash: hashOf('the key of a shop') }]),
      },
    });
  });
  after(async () => {
    trap?.close();
    await tap?.close();
    await Promise.all([system?.stop(), guarded?.stop()]);
    await broker?.close();
  });
  const publicWeb = () => system.publicWebs[0] as Service;
  const dispatcher = () => system.dispatchers[0] as Service;

  function send(event: object, to = publicWeb(), headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${to.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': EVENT_CONTENT_TYPE, ...headers },
      body: JSON.stringify(event),
    });
  }

  /** All that was published before this is in the tap when it resolves. */
  async function published(): Promise<Set<string>> {
    const marker = ping();
    assert.equal((await send(marker)).status, 200);
    await tap.event(marker.id);
    return tap.types();
  }

  it('sends no internal event, in no mode, though every type is public', async () => {
    for (const type of ['waybill.Problem', 'waybill.Forged', 'NewClientRequest']) {
      const event = { ...ping(), type };
      const modes: [body: string, headers: Record<string, string>][] = [
        [JSON.stringify(event), { 'content-type': EVENT_CONTENT_TYPE }],
        [JSON.stringify({ type, data: {} }), { 'content-type': 'application/json' }],
        ['{}', { ...ceHeaders(event), 'content-type': 'application/json' }],
      ];
      for (const [body, headers] of modes)
        for (const path of ['/', '/events']) {
          const response = await fetch(publicWeb().baseUrl + path, { method: 'POST', headers, body });
          assert.equal(response.status, 404, `${type} ${JSON.stringify(headers)}`);
        }
      const headers = { 'content-type': 'application/cloudevents-batch+json' };
      const batch = await send([event], publicWeb(), headers);
      const [reply] = (await batch.json()) as [{ data: { status: number } }];
      assert.equal(reply.data.status, 404, type);
    }
    assert.deepEqual(await published(), new Set(['PingRequest']));
  });

  it('neither sets nor sees what only Waybill sets, and has it call nobody', async () => {
    const claims = { kind: 'callback', url: `${trap.url}/dispatch`, instance: 'x', exp: 9_999_999_999 };
    for (const replyto of [trap.url, tokenOf({ alg: 'none' }, claims)]) {
      const forged = { ...ping(), replyto, correlationid: 'guessed', expirytime: '2000-01-01T00:00:00Z' };
      const answers = [
        await send({ ...forged, handledby: 'me', replayof: 'x' }),
        await fetch(publicWeb().baseUrl, {
          method: 'POST',
          headers: ceHeaders({ ...forged, id: randomUUID(), handledby: 'me' }),
        }),
      ];
      for (const answer of answers) {
        assert.equal(answer.status, 200);
        const told = JSON.stringify([...answer.headers, await answer.text()]);
        for (const name of INTERNAL_ATTRIBUTES)
          if (name !== 'traceparent') assert.doesNotMatch(told, new RegExp(`"(ce-)?${name}`), told);
      }
      const event = await tap.event(forged.id);
      assert.notEqual(event.correlationid, 'guessed');
      assert.equal(claimsOf(event.replyto).url, `http://127.0.0.1:${publicWeb().internalPort}/dispatch`);
      assert(Date.parse(event.expirytime as string) > Date.now());
      assert.equal(event.handledby, undefined);
    }
    assert.equal(trap.calls(), 0);
  });

  it('finds no internal route on a public port', async () => {
    const body = JSON.stringify([ping()]);
    for (const path of ['/dispatch', '/dispatch/', '//dispatch', '/events/../dispatch', '/%64ispatch']) {
      const headers = { 'content-type': EVENT_CONTENT_TYPE, host: `127.0.0.1:${dispatcher().port}` };
      const { status } = await fetch(publicWeb().baseUrl + path, { method: 'POST', headers, body });
      assert.equal(status, 404, path);
    }
    // The edge takes events at this path itself; a batch for dispatchers is none of its own, signed or not.
    const headers = signRequest({ method: 'POST', path: '/events', body, keys: otherKeys.call });
    assert.equal((await send([ping()], publicWeb(), headers)).status, 400);
  });

  it('has no broker called that is not allowed, however its address is written', async () => {
    const { port } = trap;
    const { hostname, port: allowedPort } = new URL(broker.url);
    const hosts = [
      '127.0.0.1',
      'localhost',
      '127.1',
      '2130706433',
      '0x7f.1',
      '[::ffff:127.0.0.1]',
      '127.0.0.1.',
    ];
    const addresses: [amqp_host: string, amqp_port: number][] = [
      ...hosts.map((host): [string, number] => [host, port]),
      [`127.0.0.1:${port}/?x=`, Number(allowedPort)],
      [`user@127.0.0.1:${port}`, Number(allowedPort)],
      [`${hostname}\0.evil.example`, Number(allowedPort)],
    ];
    for (const [amqp_host, amqp_port] of addresses) {
      const client = {
        client_id: 'c',
        queue_name: 'q',
        amqp_user: 'u',
        amqp_pass: 'p',
        amqp_host,
        amqp_port,
      };
      const response = await fetch(`${publicWeb().baseUrl}/clients`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(client),
      });
      assert.equal(response.status, 400, amqp_host);
    }
    assert.deepEqual(await published(), new Set(['PingRequest']));
    assert.equal(trap.calls(), 0);
  });

  it('is answered 401 where API keys are set, without one, with a wrong one, and with the hash of a right one', async () => {
    const event = { ...ping(), type: 'Guarded' };
    const shown = [
      {},
      ...['', 'x', 'the key of a sho', hashOf('the key of a shop')].flatMap((key) => [
        { authorization: `Bearer ${key}` },
        { 'x-api-key': key },
      ]),
    ];
    for (const headers of shown) {
      const response = await send(event, guarded, headers as Record<string, string>);
      assert.equal(response.status, 401, JSON.stringify(headers));
    }
    assert.deepEqual(await published(), new Set(['PingRequest']));
    const allowed = await send(ping(), guarded, { 'x-api-key': 'the key of a shop' });
    assert.equal(allowed.status, 200);
  });

  it('has nothing published, settled or even parsed on an internal port', async () => {
    const waiting = { ...ping(), type: 'Waiting' };
    const answered = send(waiting, publicWeb(), { prefer: 'wait=3' });
    const { correlationid, replyto } = await tap.event(waiting.id);
    const ports = { '/events': dispatcher().port, '/dispatch': publicWeb().internalPort };
    for (const [path, port] of Object.entries(ports)) {
      const forged = { ...ping(), type: 'Forged', correlationid, replyto };
      for (const body of [JSON.stringify([forged]), 'not even JSON', '['.repeat(100_000)]) {
        const call = { method: 'POST', path, body, keys: keys.call };
        const signatures: Record<string, Record<string, string>> = {
          none: {},
          'another key': signRequest({ ...call, keys: otherKeys.call }),
          'a key of another purpose': signRequest({ ...call, keys: keys.replyAddress }),
          'too old': signRequest({ ...call, nowMs: Date.now() - 120_000 }),
          'of another path': signRequest({ ...call, path: `${path}/` }),
          'of another body': signRequest({ ...call, body: '[]' }),
        };
        for (const [name, signature] of Object.entries(signatures)) {
          const headers = { 'content-type': 'application/cloudevents-batch+json', ...signature };
          const response = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body });
          assert.equal(response.status, 401, `${path}, ${name}`);
        }
      }
      assert.match(await answerToHead(port, path), /^HTTP\/1\.1 401 /);
    }
    assert(!(await published()).has('Forged'));
    // Still waiting, for a reply that never comes: no forged one was taken for it.
    assert.equal((await answered).status, 504);
  });
});

function ping() {
  return { specversion: '1.0', id: randomUUID(), source: '/stranger', type: 'PingRequest', data: {} };
}

/** What is answered to a call whose body never comes. */
async function answerToHead(port: number | undefined, path: string): Promise<string> {
  const socket = connect(port as number, '127.0.0.1');
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  socket.destroy();
  return String(answer);
}

function ceHeaders(event: object): Record<string, string> {
  const attributes = Object.entries(event).filter(([name]) => name !== 'data');
  return Object.fromEntries(attributes.map(([name, value]) => [`ce-${name}`, String(value)]));
}

function claimsOf(token: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(token).split('.')[1] ?? '', 'base64url').toString());
}

function hashOf(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}
