import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { resultStoreContract } from './result-store-contract.fixture.ts';
import { createStoredResults } from './stored-results.ts';

const SECRET = 'a-secret-that-only-listeners-know';
const folder = mkdtempSync(join(tmpdir(), 'waybill-results-'));
after(() => rmSync(folder, { recursive: true }));

describe('results in the store tier, on SQLite', () => atStore(async () => `sqlite:${folder}/store.db`));

describe('results in the store tier, on PostgreSQL', { skip: needsPostgresql() }, () => {
  let server: Postgresql;
  after(() => server.stop());
  atStore(async () => {
    server = await startPostgresql();
    return server.url;
  });
});

function atStore(databaseUrl: () => Promise<string>): void {
  let store: Service;
  before(async () => {
    const INTERNAL_SECRETS = 'a-secret-that-only-this-test-knows';
    const env = { INTERNAL_SECRETS, RESULTS_SECRETS: SECRET, DATABASE_URL: await databaseUrl() };
    store = await startService({ name: 'store', env });
    await store.ready();
  });
  after(() => store.stop());
  const open = (name: string, { windowMs = 60_000, secret = SECRET } = {}) =>
    createStoredResults({ name, windowMs, stores: { urls: [store.baseUrl], secrets: [secret] } });

  resultStoreContract('the store tier', (windowMs) => open('contract', { windowMs }));

  it('are shared by all that give them one name, and by nobody else', async () => {
    await open('cards').set('key', { reply: { type: 'Charged' } });
    assert.deepEqual(await open('cards').get('key'), { reply: { type: 'Charged' } });
    assert.equal(await open('orders').get('key'), undefined);
  });

  it('are refused where they are too large, and to those who do not know the secret', async () => {
    const data = 'x'.repeat(2_500_000);
    await assert.rejects(async () => open('large').set('key', { reply: { type: 'Answer', data } }), /413/);
    const stranger = open('cards', { secret: 'another secret, which no store knows' });
    await assert.rejects(async () => stranger.get('key'), /401/);
  });
}

for (const windowMs of [Number.POSITIVE_INFINITY, Number.NaN, 0, 0.5])
  it(`results cannot be kept for ${windowMs} ms`, () => {
    const stores = { urls: ['http://127.0.0.1:1'], secrets: [SECRET] };
    assert.throws(() => createStoredResults({ name: 'cards', windowMs, stores }), { code: 'invalid-config' });
  });

it('end their connections when they are closed, and have none before they are needed', async (t) => {
  const server = createServer((_request, response) => response.end('{}'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const open = () =>
    createStoredResults({
      name: 'x',
      stores: { urls: [`http://127.0.0.1:${port}`], secrets: [SECRET] },
    });
  await open().close();
  const results = open();
  const [[socket]] = await Promise.all([once(server, 'connection'), results.get('key')]);
  await Promise.all([once(socket, 'close'), results.close()]);
});

it('results that no store takes fail in time, and say why', async () => {
  const stores = { urls: ['http://127.0.0.1:1'], secrets: [SECRET] };
  const results = createStoredResults({ name: 'away', stores });
  await assert.rejects(async () => results.get('key'), {
    code: 'not-accepted',
    message: /no store takes results of events: .*ECONNREFUSED/,
  });
});

it('results without the settings that they need are refused at once, naming both', () => {
  assert.throws(() => createStoredResults({ name: 'x' }), /STORE_URLS.*\n.*RESULTS_SECRETS/);
});
