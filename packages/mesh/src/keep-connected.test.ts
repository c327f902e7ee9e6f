import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createMemoryConnections } from './connections.ts';
import { keepConnected } from './keep-connected.ts';
import { patient, serveRequest } from './mesh.fixture.ts';
import { OK } from './messages.ts';
import { createNeighbour } from './neighbour.ts';

const CHECKS = 3;

/** Keeps a neighbour that answers no health check, until it was asked {@link CHECKS} times; `meanwhile` comes before each end. */
async function keepSilent(meanwhile: (serve: () => Promise<unknown>) => Promise<unknown>) {
  let checks = 0;
  const store = createMemoryConnections();
  const neighbour = createNeighbour({
    ...{ address: 'b:1', name: 'b', sessionId: 's', record: store.save },
    openPeer: () => ({
      connect: () => Promise.reject(new AppError('outcome-unknown', 'no answer')),
      serve: async () => ({
        status: { code: OK, message: 'OK', details: {} },
        output: null,
        executor_id: 'b',
      }),
      async check() {
        checks += 1;
        await meanwhile(() => neighbour.serve(serveRequest(), patient));
        if (checks === CHECKS) neighbour.stop();
        throw new AppError('outcome-unknown', 'no answer');
      },
      close() {},
    }),
    log: { info() {}, warn() {} },
  });
  const connection = await neighbour.settle({ peerId: 'b', sharedNamespaces: [] });
  const dial = async () => {};
  await keepConnected(neighbour, { dial, giveUp: assert.fail, checkMs: 1 });
  const [saved] = await store.list();
  return { connection, saved, isSilent: neighbour.isSilent() };
}

test('a neighbour that is too busy for health checks is kept, and its counts, as long as it answers calls', async () => {
  const { connection, saved, isSilent } = await keepSilent((serve) => serve());
  assert.deepEqual([connection.status, isSilent], ['ACTIVE', false]);
  assert.equal(saved?.calls, CHECKS);
});

test('a neighbour that connects while the last try to reach it fails is kept', async (t) => {
  const store = createMemoryConnections();
  let checks = 0;
  const neighbour = createNeighbour({
    ...{ address: 'b:1', name: 'b', sessionId: 's', record: store.save, log: { info() {}, warn() {} } },
    openPeer: () => ({
      connect: () => assert.fail(),
      serve: () => assert.fail(),
      async check() {
        checks += 1;
        neighbour.stop();
      },
      close() {},
    }),
  });
  const now = performance.now.bind(performance);
  let passedMs = 0;
  t.mock.method(performance, 'now', () => now() + passedMs);
  async function dial() {
    passedMs = 11 * 60_000;
    neighbour.noteHeard();
    await neighbour.settle({ peerId: 'b', sharedNamespaces: [] });
    throw new AppError('not-accepted', 'no connection can be made');
  }
  await keepConnected(neighbour, { dial, giveUp: assert.fail, checkMs: 1 });
  assert.deepEqual([checks, neighbour.connection()?.status], [1, 'ACTIVE']);
});

test('a neighbour that answers nothing has failed', async () => {
  const { connection, isSilent } = await keepSilent(async () => {});
  assert.deepEqual([connection.status, connection.reason, isSilent], ['FAILED', 'no answer', true]);
});
