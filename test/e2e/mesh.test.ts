/** Two sites, each a whole system with a broker of its own, whose methods are handlers of listeners; seen by `bin/mesh.mjs`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { createStranger, type Stranger } from '@waybill/test-harness/collector-stranger.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '@waybill/test-harness/otlp-receiver.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type System, startSystem } from './system.ts';

/** A call over both sites: site, service, kind and name of each span, each the parent of the next. */
const WAY_OVER_BOTH = [
  'berlin/public-web server grpc.collector.CollectiveDispatcher/Dispatch',
  'berlin/public-web client grpc.collector.CollectiveDispatcher/Serve',
  'paris/public-web server grpc.collector.CollectiveDispatcher/Serve',
  'paris/public-web producer send acme.*',
  'paris/dispatcher producer route acme.Shouter.Shout',
  'paris/shouter consumer process acme.Shouter.Shout',
  'paris/dispatcher consumer route acme.Shouter.Shout.Response',
  'paris/public-web internal deliver acme.Shouter.Shout.Response',
];

type Site = { address: string; system: System; listener: Service; broker: TestBroker };

describe('two sites', () => {
  let receiver: OtlpReceiver;
  let berlin: Site;
  let paris: Site;
  let client: Stranger;

  async function startSite(id: string, listener: string): Promise<Site> {
    const broker = await freshBroker();
    const port = await freePort();
    const address = `127.0.0.1:${port}`;
    const env = { ...receiver.env, OTEL_RESOURCE_ATTRIBUTES: `service.namespace=${id}` };
    const mesh = { MESH_ID: id, MESH_ADDRESS: address, MESH_NAMESPACES: 'acme', GRPC_PORT: String(port) };
    const [system, listening] = await Promise.all([
      startSystem({
        amqpUrl: broker.url,
        counts: { 'ping-listener': 0 },
        env,
        envs: { 'public-web': mesh },
      }),
      startService({
        name: listener,
        main: `packages/tools/src/demo-mesh/${listener}.ts`,
        env: { ...env, AMQP_URL: broker.url },
      }),
    ]);
    await listening.ready();
    return { address, system, listener: listening, broker };
  }

  before(async () => {
    receiver = await startOtlpReceiver();
    [berlin, paris] = await Promise.all([startSite('berlin', 'greeter'), startSite('paris', 'shouter')]);
    client = createStranger(berlin.address);
  });
  after(async () => {
    client?.close();
    for (const site of [berlin, paris]) {
      await site?.system.stop();
      await site?.listener.stop();
      await site?.broker.close();
    }
    await receiver.close();
  });

  const mesh = (...args: string[]) => run([...args, '--url', berlin.address]);

  it('connect on command, and show the mesh from either', async () => {
    const connected = await mesh('connect', paris.address);
    assert.match(connected.stdout, /^paris +127.0.0.1:\d+ +ACTIVE +acme/m);
    const listed = await run(['list', '--url', paris.address]);
    assert.match(listed.stdout, /^berlin +127.0.0.1:\d+ +ACTIVE +acme/m);
    assert.equal(
      (await mesh('topology')).stdout,
      `berlin  ${berlin.address}  acme\n└─ paris  ACTIVE  acme\n\nparis  ${paris.address}  acme\n└─ berlin  ACTIVE  acme\n`,
    );
    assert.equal(
      (await mesh('topology', '--mermaid')).stdout,
      'flowchart LR\n  s0["berlin<br>acme"]\n  s1["paris<br>acme"]\n  s0 -- "acme" --- s1\n',
    );
  });

  it('run the methods of their own listeners, and those of the other one', async () => {
    const greeted = await mesh('call', 'acme', 'Greeter', 'Greet', '--data', 'Ada');
    assert.match(greeted.stdout, /^200 OK, by berlin\nHello, Ada\ntrace id: [0-9a-f]{32}\n$/);
    const shouted = await mesh('call', 'acme', 'Shouter', 'Shout', '--data', 'ahoy');
    assert.match(shouted.stdout, /^200 OK, by paris\nAHOY\n/);
  });

  it('are called with the fields that a .proto file declares', async () => {
    const proto = 'test/e2e/shouter.proto';
    const shout = (...args: string[]) => mesh('call', 'acme', 'Shouter', 'Shout', '--proto', proto, ...args);
    const shouted = await shout('--data', '{"value":"ahoy"}', '--json');
    const { code, handledBy, output } = JSON.parse(shouted.stdout);
    assert.deepEqual([code, handledBy, JSON.parse(output)], [200, 'paris', { value: 'AHOY' }]);
    const misspelt = await shout('--data', '{"valeu":"ahoy"}');
    assert.deepEqual([misspelt.code, misspelt.stdout], [1, '']);
    assert.match(misspelt.stderr, /^--data: google.protobuf.StringValue has no field valeu$/m);
    const missing = await mesh('call', 'acme', 'Shouter', 'Sing', '--proto', proto);
    assert.match(missing.stderr, /declares no method Sing of acme.Shouter$/m);
  });

  it('make one trace of a call over both', async () => {
    const { stdout } = await mesh('call', 'acme', 'Shouter', 'Shout', '--data', 'ahoy');
    const traceId = /^trace id: (.*)$/m.exec(stdout)?.[1];
    const way = await receiver.waitFor(
      () => {
        const spans = receiver.spans().filter((span) => span.traceId === traceId);
        const last = spans.find(
          ({ name, resource }) => name.startsWith('deliver') && isOf('paris', resource),
        );
        return last && wayTo(last, spans);
      },
      { timeoutMs: 60_000 },
    );
    assert.deepEqual(
      way.map(
        ({ service, kind, name, resource }) => `${resource['service.namespace']}/${service} ${kind} ${name}`,
      ),
      WAY_OVER_BOTH,
    );
    assert.equal(way[0]?.parentSpanId, undefined);
  });

  it('tell a caller what is wrong with a call', async () => {
    const missing = await mesh('call', 'acme', 'Shouter', 'Sing');
    assert.equal(missing.code, 1);
    assert.match(missing.stdout, /^404 method 'Shouter.Sing' not found in namespace 'acme'\n/);
    const call = {
      namespace: 'acme',
      service: { namespace: 'acme', service_name: 'Shouter' },
      method_name: 'Shout',
    };
    const inputs = [
      ['acme.Other', Buffer.from([10, 1, 65]), 'is a acme.Other'],
      ['google.protobuf.StringValue', Buffer.from([10, 200]), 'cannot be read as one'],
    ] as const;
    for (const [name, value, why] of inputs) {
      const input = { type_url: `type.googleapis.com/${name}`, value };
      const { status } = await client.call('Dispatch', { ...call, input });
      assert.deepEqual([status.code, status.details.code], [400, 'invalid-data']);
      assert.match(status.message, new RegExp(`must be a google.protobuf.StringValue, and ${why}`));
    }
  });
});

function isOf(site: string, resource: ReceivedSpan['resource']): boolean {
  return resource['service.namespace'] === site;
}

/** The spans from the root to `last`, each the parent of the next; nothing while one is missing. */
function wayTo(last: ReceivedSpan, spans: ReceivedSpan[]): ReceivedSpan[] | undefined {
  const way = [last];
  for (let first = way[0]; first?.parentSpanId; first = way[0]) {
    const parent = spans.find(({ spanId }) => spanId === first?.parentSpanId);
    if (!parent) return undefined;
    way.unshift(parent);
  }
  return way;
}

function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) =>
    execFile(
      process.execPath,
      ['bin/mesh.mjs', ...args],
      { env: bareEnvironment() },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
    ),
  );
}
