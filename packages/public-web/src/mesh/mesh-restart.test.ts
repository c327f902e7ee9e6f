/** A site that is killed with its store, and started again on the database that is left. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { createStranger, startStrangerPeer } from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { answer, deliver, pong, startDispatcher, startPublicWeb, startStore } from '../public-web.fixture.ts';

const { service: mesh } = loadPackage('mesh.proto').waybill.Mesh;
const greet = {
  namespace: 'acme',
  service: { namespace: 'acme', service_name: 'Greeter' },
  method_name: 'Greet',
};
/** Of a slow machine. */
const patient = { timeoutMs: 60_000 };

test('a site that was killed finds its connections stale, and connects to each peer again by itself', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-mesh-restart-'));
  const nobody = await startDispatcher({
    onBatch: (events, response) =>
      answer(response, { unroutable: events.map(({ correlationid }) => correlationid) }),
  });
  const everybody = await startDispatcher({
    onBatch: async (events, response) => {
      answer(response);
      await deliver(events.map((event) => ({ ...pong(event), data: undefined })));
    },
  });
  const [meshPort, storePort, parisPort] = [await freePort(), await freePort(), await freePort()];
  const startSite = (id: string, port: number, dispatcher: { url: string }, env = {}) =>
    startPublicWeb([dispatcher], {
      ...{ GRPC_PORT: `${port}`, MESH_ID: id, MESH_ADDRESS: `127.0.0.1:${port}`, MESH_NAMESPACES: 'acme' },
      ...env,
    });
  const startBerlin = () =>
    Promise.all([
      startStore(folder, { PORT: `${storePort}` }),
      startSite('berlin', meshPort, nobody, { STORE_URLS: `http://127.0.0.1:${storePort}` }),
    ]);
  const paris = await startSite('paris', parisPort, everybody);
  // One that waits to be connected to: whether the site does so by itself is seen by it.
  const peer = await startStrangerPeer('theirs', ['far']);
  const berlin = await startBerlin();
  const client = createStranger(`127.0.0.1:${meshPort}`);
  let restarted: typeof berlin | undefined;
  t.after(async () => {
    client.close();
    peer.close();
    for (const service of [paris, ...(restarted ?? berlin)]) await service.stop();
    for (const dispatcher of [nobody, everybody]) await dispatcher.close();
    rmSync(folder, { recursive: true });
  });

  async function tell(method_name: 'Describe' | 'Connect', value: Buffer = Buffer.alloc(0)): Promise<Buffer> {
    const { status, output } = await client.call('Dispatch', {
      ...{ namespace: 'waybill', service: { namespace: 'waybill', service_name: 'Mesh' }, method_name },
      input: { type_url: '', value },
    });
    assert.equal(status.code, 200, status.message);
    return output?.value ?? assert.fail();
  }
  const addresses = [`127.0.0.1:${parisPort}`, peer.address];
  /** What became of the first connection to each peer, and of the last: a slow machine may have lost some between. */
  async function ends(): Promise<(string | undefined)[][]> {
    const { connections } = mesh.Describe.responseDeserialize(await tell('Describe'));
    return addresses.map((address) => {
      const ofPeer = connections.filter((connection) => connection.address === address);
      return [ofPeer.at(0)?.status, ofPeer.at(-1)?.status];
    });
  }

  for (const address of addresses) await tell('Connect', mesh.Connect.requestSerialize({ address }));
  const active = ['ACTIVE', 'ACTIVE'];
  await eventually(async () => assert.deepEqual(await ends(), [active, active]), patient);
  const connects = () => peer.received.filter(({ method }) => method === 'Connect').length;
  const before = connects();

  await Promise.all(berlin.map((service) => service.stop('SIGKILL')));
  restarted = await startBerlin();

  const again = ['STALE', 'ACTIVE'];
  await eventually(async () => assert.deepEqual(await ends(), [again, again]), patient);
  assert.ok(connects() > before);
  await eventually(async () => {
    const { status, handled_by_collector_id } = await client.call('Dispatch', greet);
    assert.deepEqual([status.code, handled_by_collector_id], [200, 'paris'], status.message);
  }, patient);
});
