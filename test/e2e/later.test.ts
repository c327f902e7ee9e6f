import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

describe('an event that is accepted now', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-later-'));
  let broker: TestBroker;
  let system: System;
  let port: number;
  let store: Service | undefined;
  before(async () => {
    broker = await freshBroker();
    port = await freePort();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'public-web': 2 },
      env: { STORE_URLS: `http://127.0.0.1:${port}` },
    });
  });
  after(async () => {
    await store?.stop();
    await system.stop();
    await broker.close();
    rmSync(folder, { recursive: true });
  });

  function startStore(): Promise<Service> {
    const env = { INTERNAL_SECRETS, PORT: String(port), DATABASE_URL: `sqlite:${folder}/store.db` };
    return startService({ name: 'store', env });
  }

  it('while the store is away is answered when that is back, by any instance, also after the store was killed', async () => {
    const accepted = await fetch(`${system.publicWebs[0]?.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
      body: '{"id":"1","type":"PingRequest"}',
    });
    assert.equal(accepted.status, 202);
    const url = `${system.publicWebs[1]?.baseUrl}${accepted.headers.get('location')}`;
    store = await startStore();
    const answer = await fetch(url, { headers: { prefer: 'wait=30' } });
    assert.equal(answer.status, 200);
    const text = await answer.text();
    assert.equal(JSON.parse(text).type, 'PingResponse');
    await broker.emptied();

    await store.stop('SIGKILL');
    store = await startStore();
    assert.equal(await (await fetch(url)).text(), text);
  });
});
