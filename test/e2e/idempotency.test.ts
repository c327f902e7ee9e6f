/** One effect and one answer, over all tiers and on either database: for what is sent twice, wherever, and though processes die. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const RESULTS_SECRETS = 'a secret of the tests that listeners have';

type Told = { status: number; isReplayed: boolean; body: string };

describe('what is sent twice', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-idempotency-'));
  let broker: TestBroker;
  let system: System;
  let stores: { STORE_URLS: string };
  let store: Service;
  let listener: Service;
  let postgresql: Postgresql | undefined;
  before(async () => {
    broker = await freshBroker();
    stores = { STORE_URLS: `http://127.0.0.1:${await freePort()}` };
    // One of them is killed for each database, and one is left.
    const counts = { 'public-web': 3, 'ping-listener': 0 };
    const env = { ...stores, PUBLIC_EVENT_TYPES: 'Card.*' };
    system = await startSystem({ amqpUrl: broker.url, counts, env });
  });
  after(async () => {
    listener?.kill('SIGKILL');
    await system.stop();
    await store?.stop();
    await broker.close();
    await postgresql?.stop();
    rmSync(folder, { recursive: true });
  });

  async function startAt(url: string): Promise<void> {
    const { port } = new URL(stores.STORE_URLS);
    const env = { INTERNAL_SECRETS, RESULTS_SECRETS, PORT: port, DATABASE_URL: url };
    await store?.stop();
    store = await startService({ name: 'store', env });
    await store.ready();
    await replaceListener();
  }

  /** Kills the listener, if there is one, and starts another. */
  async function replaceListener(): Promise<void> {
    await listener?.stop('SIGKILL');
    const env = { AMQP_URL: broker.url, RESULTS_SECRETS, ...stores };
    listener = await startService({ name: 'cards', main: 'test/e2e/charging-listener.ts', env });
    await listener.ready();
  }

  async function post(web: Service | undefined, event: object, headers = {}): Promise<Told> {
    const response = await fetch(`${web?.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(event),
    });
    const isReplayed = response.headers.get('idempotency-replayed') === 'true';
    return { status: response.status, isReplayed, body: await response.text() };
  }

  const charge = (web: Service | undefined, id: string, key: string, headers = {}) =>
    post(web, { id, type: 'Card.Charge' }, { 'idempotency-key': `"${key}"`, ...headers });
  const release = () => post(system.publicWebs.at(-1), { type: 'Card.Release' });
  const isCharge = (id: string) => (line: Record<string, unknown>) =>
    line.msg === 'charged' && line.order === id;

  function testsAt(url: () => string): void {
    it('under one key, to two public-webs at once and afterwards, is handled once and answered alike', async () => {
      await startAt(url());
      const [one, two] = system.publicWebs;
      const [id, key] = [randomUUID(), randomUUID()];
      const atOnce = [charge(one, id, key), charge(two, id, key)];
      await listener.waitForLog(isCharge(id));
      assert.equal((await release()).status, 204);
      const answers = [
        ...(await Promise.all(atOnce)),
        await charge(one, id, key),
        await charge(two, id, key),
      ];
      assert.equal(new Set(answers.map(({ status, body }) => `${status} ${body}`)).size, 1);
      assert.match(String(answers[0]?.body), /Card\.Charged/);
      assert.deepEqual(answers.map(({ isReplayed }) => isReplayed).sort(), [false, true, true, true]);
      assert.equal(listener.logs.filter(isCharge(id)).length, 1);
    });

    it('because its public-web was killed is not handled again, and its key leads to the answer', async () => {
      const [dying, other] = system.publicWebs;
      const [id, key] = [randomUUID(), randomUUID()];
      const lost = assert.rejects(charge(dying, id, key));
      await listener.waitForLog(isCharge(id));
      await system.kill(dying as Service);
      await lost;
      const again = charge(other, id, key);
      const impatient = await charge(other, id, key, { prefer: 'wait=1' });
      assert.deepEqual([impatient.status, JSON.parse(impatient.body).code], [504, 'outcome-unknown']);
      await release();
      const answer = await again;
      assert.deepEqual([answer.status, answer.isReplayed], [200, true], answer.body);
      assert.equal((await charge(other, id, key)).body, answer.body);
      assert.equal(listener.logs.filter(isCharge(id)).length, 1);

      // Under another key it is another request, whose listener knows the event.
      await replaceListener();
      assert.equal((await charge(other, id, randomUUID())).body, answer.body);
      assert.equal(listener.logs.filter(isCharge(id)).length, 0);
    });
  }

  describe('on SQLite', () => testsAt(() => `sqlite:${folder}/store.db`));

  describe('on PostgreSQL', { skip: needsPostgresql() }, () => {
    before(async () => {
      postgresql = await startPostgresql();
    });
    testsAt(() => postgresql?.url ?? '');
  });
});
