/**
 * `npm run demo:mesh`: three sites on this machine, each a whole system with a broker of its own, that route calls for each
 * other. Shows the mesh, a call that its own site serves, one that goes to another, with its trace over both, and one
 * whose site was killed. Exits 0; on a failure it says which part failed and exits 1.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programName } from '../../../bin/plain/program-name.mjs';
import { interrupted, runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { assertStopped, createOutputKeeper, demoEnv, endedByItself, startDeadline } from './demo-services.ts';
import { type RunningServices, runServices, type Service } from './run-services.ts';
import { isByNpx, show } from './show-program.ts';
import { readStartOptions } from './start-options.ts';
import { defaultPorts, describeSystem, type System, telemetryEnv } from './system.ts';

const usage = `usage: ${isByNpx ? programName('demo-mesh.mjs') : 'npm run demo:mesh --'} [options]

  --port-offset <n>  move every port by this much
  --help             print this`;

/** Each with the listener that it has. */
const SITES = [
  ['berlin', 'greeter'],
  ['paris', 'shouter'],
  ['rome', 'shouter'],
] as const;
/** From the ports of one site to those of the next. */
const BETWEEN_SITES = 100;

type Site = { id: string; address: string; system: System; services: RunningServices };

await runProgram(async () => {
  const { help, portOffset } = readStartOptions();
  if (help) return console.log(usage);
  const folder = mkdtempSync(join(tmpdir(), 'waybill-demo-mesh-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const startedAt = performance.now();
  const output = createOutputKeeper();
  const sites = (await describeSites(portOffset, folder)).map((site) => ({
    ...site,
    services: runServices({ stages: site.system.stages, onLine: output.keep }),
  }));
  const killed = new Set<Site>();
  const ends = sites.map(async (site) => {
    const end = await site.services.firstEnd;
    // One that the demo kills ends as it should.
    return killed.has(site) ? new Promise<never>(() => {}) : end;
  });
  const trouble = Promise.race([interrupted(), endedByItself(Promise.race(ends), output)]);
  trouble.catch(() => {});
  let failure: unknown;
  try {
    console.log(`starting the sites ${sites.map(({ id }) => id).join(', ')}`);
    for (const { services } of sites)
      await Promise.race([services.ready, trouble, startDeadline(services, sites.length)]);
    console.log(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
    await Promise.race([showCalls(sites, killed), trouble]);
  } catch (error) {
    failure = error;
  }
  const ended = [];
  // The first one's collector takes what all others have left to say. All at once, some of the 27 processes would have too little
  // of two processors to end in time.
  for (const site of sites.toReversed()) {
    const ends = await site.services.stop();
    if (!killed.has(site)) ended.push(...ends);
  }
  if (failure) throw failure;
  assertStopped(ended, output);
  console.log('\nstopped');
});

/** The telemetry of all is in the first one's collector. */
async function describeSites(portOffset: number, folder: string): Promise<Omit<Site, 'services'>[]> {
  const sites: Omit<Site, 'services'>[] = [];
  for (const [index, [id, listener]] of SITES.entries()) {
    const offset = portOffset + index * BETWEEN_SITES;
    const address = `127.0.0.1:${defaultPorts.GRPC_PORT + offset}`;
    const telemetryUrl = sites[0]?.system.telemetryUrl;
    const env = {
      ...bareEnv(),
      ...(telemetryUrl && telemetryEnv(telemetryUrl, {})),
      OTEL_RESOURCE_ATTRIBUTES: `service.namespace=${id}`,
      MESH_ID: id,
      MESH_ADDRESS: address,
      MESH_NAMESPACES: 'acme',
      // Of no other run.
      DATABASE_URL: `sqlite:${join(folder, id)}.db`,
    };
    const listeners = [modulePath(listener)];
    const system = await describeSystem(env, { portOffset: offset, listeners });
    const stages = system.stages.map((stage) => stage.map((service) => ofSite(id, service)));
    sites.push({ id, address, system: { ...system, stages } });
  }
  return sites;
}

/** Ports and the broker are each site's own. */
function bareEnv(): NodeJS.ProcessEnv {
  const taken = [...Object.keys(defaultPorts), 'AMQP_PORT', 'TELEMETRY_PORT', 'AMQP_URL', 'AMQP_URL_FILE'];
  return Object.fromEntries(
    Object.entries(demoEnv()).filter(([name]) => !taken.includes(name) && !name.startsWith('MESH_')),
  );
}

function modulePath(listener: string): string {
  return fileURLToPath(new URL(`demo-mesh/${listener}${extname(import.meta.filename)}`, import.meta.url));
}

/** Nobody changes its files meanwhile; and what watches them cannot be killed with what it runs. */
function ofSite(id: string, service: Service): Service {
  const args = service.args.filter((arg) => !arg.startsWith('--watch'));
  return { ...service, name: `${id}/${service.name}`, args };
}

async function showCalls(sites: Site[], killed: Set<Site>): Promise<void> {
  const [first, ...others] = sites as [Site, ...Site[]];
  const ofFirst = first.address.endsWith(':50051') ? [] : ['--url', first.address];
  const mesh = (...args: string[]) => show('mesh', [...args, ...ofFirst]);

  for (const { address } of others) await mesh('connect', address);
  console.log();
  await mesh('topology');
  console.log('\nserved where it is called:');
  await mesh('call', 'acme', 'Greeter', 'Greet', '--data', 'Ada');
  console.log('\nserved by another site, with the trace of the call over both:');
  const remote = await mesh('call', 'acme', 'Shouter', 'Shout', '--data', 'ahoy');
  await showTrace(first, remote);
  const handler = others.find(({ id }) => remote.startsWith(`200 OK, by ${id}\n`));
  if (!handler) throw new UserError('the demo failed: the call says of no other site that it ran there');
  killed.add(handler);
  handler.services.kill();
  console.log(`\n${handler.id} is killed; the same call again:`);
  await mesh('call', 'acme', 'Shouter', 'Shout', '--data', 'ahoy again');
  console.log();
  await mesh('list');
}

async function showTrace({ system: { telemetryUrl } }: Site, answer: string): Promise<void> {
  const traceId = /^trace id: ([0-9a-f]{32})$/m.exec(answer)?.[1];
  if (!traceId) throw new UserError('the demo failed: the answer names no trace');
  const atOtherPort = telemetryUrl?.endsWith(':4318')
    ? []
    : ['--tempo-url', `${telemetryUrl}`, '--wait-ms', '2000'];
  await show('trace', [traceId, ...atOtherPort], { isRead: false });
}
