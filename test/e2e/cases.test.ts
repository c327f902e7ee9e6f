import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type System, startSystem } from './system.ts';

describe('what a listener replies', () => {
  let broker: TestBroker;
  let system: System;
  let listener: Service;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'ping-listener': 0 },
      env: { PUBLIC_EVENT_TYPES: 'Case.*' },
    });
    listener = await startService({
      name: 'cases',
      main: 'test/e2e/cases-listener.ts',
      env: { AMQP_URL: broker.url },
    });
    await listener.ready();
  });
  after(async () => {
    await listener?.stop();
    await system?.stop();
    await broker.close();
  });

  let ids = 0;
  function ask(type: string, { mode = 'binary', data = '', prefer = 'wait=30' } = {}): Promise<Response> {
    const event = { specversion: '1.0', id: `e${++ids}`, source: '/t', type };
    const headers = Object.fromEntries(Object.entries(event).map(([name, value]) => [`ce-${name}`, value]));
    const json = { 'content-type': 'application/json' };
    const request =
      mode === 'binary'
        ? { headers: { ...headers, prefer, ...(data && json) }, body: data }
        : { headers: { 'content-type': 'application/cloudevents+json' }, body: JSON.stringify(event) };
    return fetch(`${system.publicWebs[0]?.baseUrl}/events`, { method: 'POST', ...request });
  }

  test('as bytes arrives as these bytes, and structured as data_base64', async () => {
    const binary = await ask('Case.Buffer');
    assert.equal(binary.headers.get('content-type'), 'application/octet-stream');
    assert.deepEqual(Buffer.from(await binary.arrayBuffer()), Buffer.from([1, 2, 3]));
    const structured = (await (await ask('Case.Buffer', { mode: 'structured' })).json()) as Record<
      string,
      unknown
    >;
    assert.deepEqual([structured.data, structured.data_base64], [undefined, 'AQID']);
  });

  test('without data has no content type, and one of its own is unchanged', async () => {
    assert.equal((await ask('Case.Empty')).headers.get('content-type'), null);
    assert.equal((await ask('Case.Ct')).headers.get('content-type'), 'application/vnd.acme+json');
  });

  for (const type of ['Case.Map', 'Case.Euros'])
    test(`is 502 invalid-reply where it cannot be carried: ${type}`, async () => {
      const response = await ask(type, { mode: 'structured' });
      assert.equal(response.status, 502);
      assert.equal(((await response.json()) as { error_code: string }).error_code, 'invalid-reply');
    });

  test('is 422 with a pointer where the data is not as the schema says, in each mode', async () => {
    assert.equal(await (await ask('Case.Typed', { data: '{"n":7}' })).text(), '7');
    const binary = await ask('Case.Typed', { data: '{"n":"seven"}' });
    assert.deepEqual(
      [binary.status, binary.headers.get('content-type')],
      [422, 'application/problem+json; charset=utf-8'],
    );
    const { code, errors } = (await binary.json()) as Record<string, unknown>;
    assert.deepEqual([code, errors], ['invalid-data', [{ pointer: '#/n', detail: 'must be number' }]]);
    const structured = await ask('Case.Typed', { mode: 'structured' });
    assert.equal(structured.status, 422);
  });

  test('is told as far as it is known to a client that waited in vain', async () => {
    const detail = await eventually(async () => {
      const response = await ask('Case.Stuck', { prefer: 'wait=1' });
      assert.equal(response.status, 504);
      const problem = (await response.json()) as { detail: string };
      // On a machine that is so slow nothing is known yet.
      assert.notEqual(problem.detail, 'no reply within 1000 ms');
      return problem.detail;
    });
    assert.equal(detail, 'no reply within 1000 ms; attempt 1 of 5 by cases failed with card-declined');
  });

  test('of numbers is what the handler saw, also after a retry, and 1e400 is refused', async () => {
    const rounded = await ask('Case.Rounded', { data: '{"n":9007199254740993}' });
    assert.equal(await rounded.text(), '{"n":9007199254740992}');
    assert.equal((await ask('Case.Rounded', { data: '{"limit":1e400}' })).status, 400);
  });
});
