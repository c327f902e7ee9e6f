/** Order by key over all tiers, with two instances of each: from a client that stays to the handler. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createClient } from '@waybill/client';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

const KEYS = ['blue', 'green', 'red'];
const PER_KEY = 12;

describe('events with a key, of a handler that takes them in order', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-ordered-'));
  let broker: TestBroker;
  let system: System;
  let store: Service;
  let listeners: Service[] = [];
  before(async () => {
    const [fresh, port] = await Promise.all([freshBroker(), freePort()]);
    broker = fresh;
    const startListener = () =>
      startService({
        name: 'steps',
        main: 'packages/listener/src/ordered-program.fixture.ts',
        args: ['steps'],
        env: { AMQP_URL: broker.url },
      });
    [store, ...listeners] = await Promise.all([
      startService({
        name: 'store',
        env: { INTERNAL_SECRETS, PORT: String(port), DATABASE_URL: `sqlite:${folder}/store.db` },
      }),
      startListener(),
      startListener(),
    ]);
    await Promise.all([store, ...listeners].map((service) => service.ready()));
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'public-web': 2, dispatcher: 2, 'ping-listener': 0 },
      env: { STORE_URLS: `http://127.0.0.1:${port}`, PUBLIC_EVENT_TYPES: 'steps.*' },
    });
  });
  after(async () => {
    await system?.stop();
    await Promise.all([store, ...listeners].map((service) => service?.stop()));
    await broker?.close();
    rmSync(folder, { recursive: true });
  });

  it('are handled one after the other as a client sent them, though attempts fail, a dispatcher is slow and the client goes elsewhere', async () => {
    const sent = KEYS.map((): string[] => []);
    const asked: Promise<unknown>[] = [];
    for (const [half, { baseUrl }] of system.publicWebs.entries()) {
      const connection = createClient({ url: baseUrl }).connect({ client: 'in-order' });
      await connection.request('steps.Step', {}, { partitionkey: 'first' });
      // What the other dispatcher is sent meanwhile must not overtake what waits for this one.
      const [frozen] = system.dispatchers;
      frozen?.kill('SIGSTOP');
      for (let step = 0; step < PER_KEY / 2; step += 1) {
        for (const [index, partitionkey] of KEYS.entries()) {
          const id = `${partitionkey} ${half} ${step}`;
          sent[index]?.push(id);
          const data = { ms: 5, stumbles: step === 2 ? 1 : 0 };
          asked.push(connection.request('steps.Step', data, { id, partitionkey, timeoutMs: 60_000 }));
        }
        // By then public-web has read them, and sends the next by another call.
        await fetch(`${baseUrl}/openapi.json`).then((response) => response.text());
      }
      frozen?.kill('SIGCONT');
      await Promise.all(asked);
      await connection.close();
    }

    const started = listeners
      .flatMap(({ logs }) => logs.filter(({ msg }) => msg === 'started'))
      .sort((one, other) => Number(one.time) - Number(other.time))
      .map(({ event_id }) => String(event_id));
    for (const [index, ids] of sent.entries())
      assert.deepEqual(
        started.filter((id) => id.startsWith(String(KEYS[index]))),
        // One that stumbles is begun again before the next of its key.
        ids.flatMap((id) => (id.endsWith(' 2') ? [id, id] : [id])),
      );
  });
});
