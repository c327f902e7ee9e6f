/** Clients that stay, over all tiers, on either database; and what each of them gets when one of every tier is killed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { INTERNAL_SECRETS, type System, startSystem } from './system.ts';

/** For each database one of every tier is killed, and one is left. */
const COUNTS = { 'public-web': 3, dispatcher: 3, 'ping-listener': 3 };

type Told = { type: string; requestid: string; token: string };

describe('mailboxes over all tiers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-mailboxes-'));
  let broker: TestBroker;
  let system: System;
  let port: number;
  let store: Service;
  let postgresql: Postgresql | undefined;
  before(async () => {
    broker = await freshBroker();
    port = await freePort();
    const env = { STORE_URLS: `http://127.0.0.1:${port}`, DEADLINE_MS: '120000' };
    system = await startSystem({ amqpUrl: broker.url, counts: COUNTS, env });
  });
  after(async () => {
    await store?.stop();
    await system.stop();
    await broker.close();
    await postgresql?.stop();
    rmSync(folder, { recursive: true });
  });

  async function startStore(url: string): Promise<void> {
    const env = { INTERNAL_SECRETS, PORT: String(port), DATABASE_URL: url };
    store = await startService({ name: 'store', env });
    await store.ready();
  }

  /** A client at one public-web, which collects what it is told. */
  async function connect(t: TestContext, web: Service | undefined, name: string, after?: string) {
    const query = new URLSearchParams({ client: name, acks: 'client', ...(after && { after }) });
    const socket = new WebSocket(`ws://127.0.0.1:${web?.port}/ws?${query}`, 'cloudevents.json');
    t.after(() => socket.close());
    const told: Told[] = [];
    socket.addEventListener('message', ({ data }) => told.push(JSON.parse(String(data))));
    await once(socket, 'open');
    return {
      socket,
      told,
      send(ids: string[]) {
        for (const id of ids)
          socket.send(
            JSON.stringify({ specversion: '1.0', id, source: '/me', type: 'PingRequest', data: {} }),
          );
      },
      /** Resolves with the ids of the events that its first `count` entries answer. */
      async answers(count: number) {
        await eventually(() => assert.ok(told.length >= count, `${told.length} of ${count}`), {
          timeoutMs: 90_000,
        });
        assert.deepEqual([...new Set(told.map(({ type }) => type))], ['PingResponse']);
        return told.map(({ requestid }) => requestid);
      },
    };
  }

  /** Once each event has left a public-web: with which status how many have. */
  function statusesOf(web: Service | undefined, ids: string[]): Promise<Record<string, number>> {
    const own = new Set<unknown>(ids);
    return eventually(() => {
      const lines = web?.logs.filter(({ event_id }) => own.has(event_id)) ?? [];
      assert.ok(lines.length >= ids.length, `${lines.length} of ${ids.length} have left`);
      const counts: Record<string, number> = {};
      for (const { status } of lines) counts[String(status)] = (counts[String(status)] ?? 0) + 1;
      return counts;
    });
  }

  const ids = (count: number) => Array.from({ length: count }, () => randomUUID());

  function testsAt(url: () => string): void {
    it('give each of many clients its own results, in order, while they hop between instances', async (t) => {
      await startStore(url());
      const hopping = ids(8).map(async (name, index) => {
        const [one, other] = [system.publicWebs[index % 2], system.publicWebs[1 - (index % 2)]];
        const before = await connect(t, one, name);
        const sent = ids(40);
        before.send(sent);
        await before.answers(1 + index);
        // Some are read by now, some are under way.
        const first = [...before.told];
        const after = await connect(t, other, name, first.at(-1)?.token);
        const last = randomUUID();
        after.send([last]);
        await eventually(() => assert.equal(after.told.at(-1)?.requestid, last), { timeoutMs: 90_000 });
        const got = [...first, ...after.told].map(({ requestid }) => requestid);
        // What the instance before has not read by then it has not taken, and that is the end of it.
        assert.deepEqual(got, [...sent.slice(0, got.length - 1), last]);
      });
      await Promise.all(hopping);
    });

    it('lose nothing, double nothing and keep the order when one of every tier is killed', async (t) => {
      const name = randomUUID();
      const [web, next] = system.publicWebs;
      const [dispatcher] = system.dispatchers;
      const client = await connect(t, web, name);
      const answered = ids(5);
      client.send(answered);
      assert.deepEqual(await client.answers(5), answered);
      const listeners = [...system.pingListeners];
      // However this ends: what is frozen cannot be stopped.
      t.after(() => listeners.map((each) => each.kill('SIGCONT')));
      for (const each of listeners) each.kill('SIGSTOP');
      const sent = ids(100);
      client.send(sent);
      // The broker has them, and nobody has handled one.
      assert.deepEqual(await statusesOf(web, sent), { 202: sent.length });
      const [listener, ...others] = listeners;
      for (const service of [web, dispatcher, listener]) if (service) await system.kill(service);
      await store.stop('SIGKILL');
      for (const other of others) other.kill('SIGCONT');
      await startStore(url());
      const again = await connect(t, next, name, client.told[4]?.token);
      assert.deepEqual(await again.answers(100), sent);
      assert.equal(client.told.length, 5);
    });
  }

  describe('on SQLite', () => testsAt(() => `sqlite:${folder}/store.db`));

  describe('on PostgreSQL', { skip: needsPostgresql() }, () => {
    before(async () => {
      await store.stop();
      postgresql = await startPostgresql();
    });
    testsAt(() => postgresql?.url ?? '');
  });
});
