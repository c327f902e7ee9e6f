import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createSecureContext } from 'node:tls';
import { credentials, status } from '@grpc/grpc-js';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { createAuthority, type KeyPair, trust } from '@waybill/test-harness/certificates.ts';
import { type Answer, createStranger, type Stranger } from '@waybill/test-harness/collector-stranger.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import {
  answer,
  type Dispatcher,
  deliver,
  pong,
  startDispatcher,
  startPublicWeb,
} from '../public-web.fixture.ts';
import { parseMeshPeers } from './mesh-peers.ts';

const digest = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const keys = {
  berlin: 'b'.repeat(40),
  paris: 'p'.repeat(40),
  client: 'c'.repeat(40),
  operator: 'o'.repeat(40),
};
const call = {
  namespace: 'acme',
  service: { namespace: 'acme', service_name: 'Greeter' },
  method_name: 'Greet',
};
const told = ({ status }: Answer) => `${status.code} ${status.message}`;
const shows = (key: string) => ({ authorization: `Bearer ${key}` });

describe('two sites that trust each other alone, by mutual TLS and keys', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-mesh-'));
  const authority = createAuthority();
  const pair = authority.issue({ names: ['localhost', '127.0.0.1'] });
  let receiver: OtlpReceiver;
  let dispatchers: Dispatcher[];
  let sites: Service[];
  let berlin: string;
  let paris: string;
  const strangers: Stranger[] = [];

  function file(name: string, content: string): string {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  }

  function connect(address: string, shown?: KeyPair): Stranger {
    const context = createSecureContext({ ca: authority.cert, ...shown });
    const stranger = createStranger(address, credentials.createFromSecureContext(context));
    strangers.push(stranger);
    return stranger;
  }

  before(async () => {
    // What delivers replies calls a port of TLS.
    trust(authority);
    [berlin, paris] = [`localhost:${await freePort()}`, `localhost:${await freePort()}`];
    const tls = {
      TLS_CERT_FILE: file('cert.pem', pair.cert),
      TLS_KEY_FILE: file('key.pem', pair.key),
      GRPC_CLIENT_CA_FILE: file('ca.pem', authority.cert),
      NODE_EXTRA_CA_CERTS: file('ca.pem', authority.cert),
      HOST: '0.0.0.0',
    };
    receiver = await startOtlpReceiver();
    dispatchers = [await startDispatcher(), await startDispatcher()];
    const site = (id: string, own: string, peers: object[], index: number) =>
      startPublicWeb(dispatchers.slice(index, index + 1), {
        ...tls,
        ...receiver.env,
        OTEL_RESOURCE_ATTRIBUTES: `service.namespace=${id}`,
        GRPC_PORT: own.replace('localhost:', ''),
        MESH_ID: id,
        MESH_ADDRESS: own,
        MESH_NAMESPACES: 'acme,secret',
        MESH_PEERS: JSON.stringify(peers),
        API_KEYS: JSON.stringify([
          { id: 'client', hash: digest(keys.client), types: ['acme.Greeter.*', 'waybill.*'] },
          { id: 'operator', hash: digest(keys.operator), types: [], mesh: true },
        ]),
      });
    const known = { tls: true, namespaces: ['acme'] };
    sites = [
      await site(
        'berlin',
        berlin,
        [{ ...known, id: 'paris', address: paris, hash: digest(keys.paris), key: keys.berlin }],
        0,
      ),
      await site(
        'paris',
        paris,
        [{ ...known, id: 'berlin', address: berlin, hash: digest(keys.berlin), key: keys.paris }],
        1,
      ),
    ];
  });
  after(async () => {
    for (const stranger of strangers) stranger.close();
    for (const site of sites ?? []) await site.stop();
    for (const dispatcher of dispatchers) await dispatcher.close();
    await receiver.close();
    rmSync(folder, { recursive: true });
  });

  it('are connected by themselves, and a call of one runs at the other', async () => {
    const [here, there] = dispatchers as [Dispatcher, Dispatcher];
    here.onBatch = (events, response) =>
      answer(response, { unroutable: events.map(({ correlationid }) => correlationid) });
    there.onBatch = async (events, response) => {
      answer(response);
      await deliver(events.map((event) => ({ ...pong(event), data: undefined })));
    };
    const client = connect(berlin, pair);
    await eventually(async () => {
      const given = await client.call('Dispatch', call, shows(keys.client));
      assert.deepEqual([told(given), given.handled_by_collector_id], ['200 OK', 'paris']);
    });
    const secret = await client.call('Dispatch', { ...call, namespace: 'secret' }, shows(keys.client));
    assert.equal(told(secret), "404 no collector found for namespace 'secret'");
  });

  const theirs = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
  const traced = { traceparent: `00-${theirs.traceId}-${theirs.spanId}-01` };
  const patient = { timeoutMs: 60_000 };
  const linked = (span: ReceivedSpan) => span.links.some(({ spanId }) => spanId === theirs.spanId);

  it('make one trace of a call over both, linked to that of its client', async () => {
    const given = await connect(berlin, pair).call('Dispatch', call, { ...shows(keys.client), ...traced });
    assert.equal(told(given), '200 OK');
    const way = await receiver.waitFor(() => wayOf(receiver.spans().find(linked), receiver.spans()), patient);
    assert.deepEqual(
      way.map(({ resource, kind, name }) => `${resource['service.namespace']} ${kind} ${name}`),
      [
        'berlin server grpc.collector.CollectiveDispatcher/Dispatch',
        'berlin client grpc.collector.CollectiveDispatcher/Serve',
        'paris server grpc.collector.CollectiveDispatcher/Serve',
        'paris producer send acme.*',
      ],
    );
    assert.notEqual(way[0]?.traceId, theirs.traceId);
    const { attributes } = way[2] ?? assert.fail();
    assert.equal(attributes['waybill.mesh.method'], 'acme.Greeter.Greet');
    assert.equal(attributes['waybill.mesh.handled_by'], 'paris');
  });

  it('count the calls to each other by the id of the peer', async () => {
    const names = ['calls', 'call.duration', 'in_flight', 'connected', 'breaker_open'];
    await receiver.waitFor(
      () => names.every((name) => receiver.metricNames().includes(`waybill.mesh.${name}`)),
      patient,
    );
    const counted = () => receiver.counts('waybill.mesh.calls').some((counts) => Number(counts.at(-1)) > 0);
    await receiver.waitFor(counted, patient);
  });

  it('take no call without a certificate, and none without a key', async () => {
    await assert.rejects(connect(berlin).call('Serve', call, shows(keys.client)), {
      code: status.UNAVAILABLE,
    });
    const client = connect(berlin, pair);
    for (const method of ['Serve', 'Dispatch', 'Connect'] as const)
      for (const headers of [{}, shows('x'.repeat(40)), shows(keys.berlin)])
        await assert.rejects(client.call(method, call, headers), { code: status.UNAUTHENTICATED });
  });

  it('let a client call what its key permits, a peer what its namespaces have, and tell neither of more', async () => {
    const client = connect(paris, pair);
    const serve = async (changes: object, key: string) =>
      told(await client.call('Serve', { ...call, ...changes }, shows(key)));
    assert.equal(await serve({}, keys.client), '200 OK');
    assert.equal(await serve({ namespace: 'secret' }, keys.client), "404 namespace 'secret' not found");
    assert.equal(
      await serve({ service: { service_name: 'Other' } }, keys.client),
      "404 namespace 'acme' not found",
    );
    assert.equal(await serve({ namespace: '' }, keys.client), '400 namespace is required');
    assert.equal(await serve({}, keys.berlin), '200 OK');
    assert.equal(await serve({ namespace: 'secret' }, keys.berlin), "404 namespace 'secret' not found");
  });

  it('show whom they are connected to, and connect, for those alone whose key permits it', async () => {
    const client = connect(paris, pair);
    const service = { namespace: 'waybill', service_name: 'Mesh' };
    const ask = async (method_name: string, key: string, input?: object) => {
      const request = { namespace: 'waybill', service, method_name, input };
      return told(await client.call('Serve', request, shows(key)));
    };
    assert.equal(await ask('Describe', keys.operator), '200 OK');
    for (const key of [keys.client, keys.berlin])
      assert.equal(await ask('Describe', key), "404 namespace 'waybill' not found");
    // Field 1 of waybill.Address; a link-local address that is nobody's.
    const address = Buffer.from('\n\x12169.254.169.254:80', 'latin1');
    const elsewhere = await ask('Connect', keys.operator, { type_url: '', value: address });
    assert.equal(elsewhere, '500 handler error: no peer may be at that address');
  });

  it('are seen by whoever shows bin/mesh.mjs a certificate and a key that they know', async () => {
    const list = (env: NodeJS.ProcessEnv) => runMesh(['list', '--url', `https://${berlin}`], env);
    const trusting = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem'), WAYBILL_API_KEY: keys.operator };
    const certificate = {
      WAYBILL_CERT_FILE: file('cert.pem', pair.cert),
      WAYBILL_KEY_FILE: file('key.pem', pair.key),
    };
    const seen = await list({ ...trusting, ...certificate });
    assert.match(seen.stdout, /^paris +localhost:\d+ +ACTIVE +acme/m);
    const unseen = await list(trusting);
    assert.deepEqual([unseen.code, unseen.stdout], [1, '']);
    assert.match(unseen.stderr, /WAYBILL_CERT_FILE/);
    const missing = await list({ ...trusting, ...certificate, WAYBILL_KEY_FILE: join(folder, 'none.pem') });
    assert.match(missing.stderr, /^WAYBILL_CERT_FILE, WAYBILL_KEY_FILE: ENOENT/);
  });

  it('let nobody connect but the peer, at its own address', async () => {
    const client = connect(berlin, pair);
    const refused = '400 address is none that the caller may have';
    const attempt = async (address: string, key: string) =>
      told(await client.call('Connect', { address, namespaces: ['acme'] }, shows(key)));
    assert.equal(await attempt('localhost:1', keys.paris), refused);
    assert.equal(await attempt(paris, keys.client), refused);
    assert.equal(await attempt(paris, keys.paris), '200 Connected with 1 shared namespaces');
  });
});

function runMesh(
  args: string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      ['bin/mesh.mjs', ...args],
      { env: { ...bareEnvironment(), ...env } },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );
}

/** The spans from `first` to the one that sends an event, each the parent of the next; nothing while one is missing. */
function wayOf(first: ReceivedSpan | undefined, spans: ReceivedSpan[]): ReceivedSpan[] | undefined {
  const sent = spans.find(
    ({ traceId, name, resource }) =>
      traceId === first?.traceId && name.startsWith('send ') && resource['service.namespace'] === 'paris',
  );
  const way: ReceivedSpan[] = [];
  for (let next = sent; next; next = spans.find(({ spanId }) => spanId === way[0]?.parentSpanId))
    way.unshift(next);
  return way[0]?.spanId === first?.spanId ? way : undefined;
}

it('what is wrong with the peers in the settings is said, and no value repeated', () => {
  const peer = { id: 'a', address: 'a:1', hash: digest('x'), key: keys.paris };
  assert.deepEqual(parseMeshPeers(JSON.stringify([peer])), [peer]);
  for (const [wrong, reason] of [
    ['no', /it is not JSON/],
    [[], /a JSON array of 1 to 256/],
    [[{ ...peer, key: 'short' }], /key of number 1 must be/],
    [[{ ...peer, hash: keys.paris }], /hash of number 1 must be/],
    [[{ ...peer, namespace: ['x'] }], /a member that no peer has/],
    [[{ ...peer, address: 'http://a' }], /address of number 1 must be host:port/],
    [[peer, { ...peer, id: 'b', address: 'b:1' }], /two have the same hash/],
  ] as const) {
    const text = typeof wrong === 'string' ? wrong : JSON.stringify(wrong);
    assert.throws(
      () => parseMeshPeers(text),
      ({ message }: Error) => reason.test(message) && !message.includes(keys.paris),
    );
  }
});
