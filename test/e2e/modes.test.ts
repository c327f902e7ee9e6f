import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type System, startSystem } from './system.ts';

const event = { specversion: '1.0', id: 'e1', source: '/test', type: 'PingRequest', data: { sentAt: 1 } };
const INTERNAL = ['correlationid', 'replyto', 'expirytime', 'handledby', 'traceparent'];

describe('the whole system', () => {
  let broker: TestBroker;
  let system: System;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({ amqpUrl: broker.url, env: { PUBLIC_EVENT_TYPES: 'PingRequest,Nobody*' } });
  });
  after(async () => {
    await system?.stop();
    await broker.close();
  });

  function post(body: string, headers: Record<string, string>): Promise<Response> {
    return fetch(`${system.publicWebs[0]?.baseUrl}/events`, { method: 'POST', body, headers });
  }

  test('answers a plain event in the plain shape, under its id', async () => {
    const response = await post(JSON.stringify({ id: 'mine', type: 'PingRequest', data: { sentAt: 1 } }), {
      'content-type': 'application/json',
    });
    const answer = (await response.json()) as { data: { receivedAt: number } };
    assert.equal(response.status, 200);
    assert.ok(Math.abs(answer.data.receivedAt - Date.now()) < 60_000);
    assert.deepEqual(answer, {
      id: 'mine',
      type: 'PingResponse',
      data: { sentAt: 1, receivedAt: answer.data.receivedAt },
    });
  });

  test('answers a structured event in structured mode', async () => {
    const response = await post(JSON.stringify(event), { 'content-type': 'application/cloudevents+json' });
    const answer = (await response.json()) as Record<string, unknown>;
    assert.match(String(response.headers.get('content-type')), /^application\/cloudevents\+json/);
    assert.deepEqual(
      [answer.specversion, answer.type, answer.source],
      ['1.0', 'PingResponse', '/waybill/ping'],
    );
    assert.deepEqual(
      INTERNAL.filter((name) => name in answer),
      [],
    );
  });

  test('answers a binary event in binary mode', async () => {
    const response = await post('{"sentAt":1}', {
      'content-type': 'application/json',
      'ce-specversion': '1.0',
      'ce-id': 'e1',
      'ce-source': '/test',
      'ce-type': 'PingRequest',
    });
    assert.equal(response.headers.get('ce-type'), 'PingResponse');
    assert.equal(((await response.json()) as { sentAt: number }).sentAt, 1);
    assert.deepEqual(
      INTERNAL.filter((name) => response.headers.has(`ce-${name}`)),
      [],
    );
  });

  test('answers a batch with one event per input, in order, each with its own outcome', async () => {
    const batch = [
      event,
      { ...event, type: 'Nobody' },
      { ...event, id: '' },
      { ...event, data: { sentAt: 2 } },
    ];
    const response = await post(JSON.stringify(batch), {
      'content-type': 'application/cloudevents-batch+json',
    });
    const answers = (await response.json()) as { type: string; data: { sentAt?: number; status?: number } }[];
    assert.equal(response.status, 200);
    assert.deepEqual(
      answers.map(({ type, data }) => [type, data.sentAt ?? data.status]),
      [
        ['PingResponse', 1],
        ['waybill.Problem', 404],
        ['waybill.Problem', 400],
        ['PingResponse', 2],
      ],
    );
  });

  test('answers 404 at once for a type that no listener takes, and queues nothing', async () => {
    const response = await post('{"type":"NobodyTakesThis"}', { 'content-type': 'application/json' });
    assert.equal(response.status, 404);
    assert.equal(((await response.json()) as { code: string }).code, 'unroutable');
    await broker.emptied();
  });
});
