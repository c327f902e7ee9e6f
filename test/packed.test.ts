/**
 * The packages as somebody installs them: packed, in a project elsewhere that has nothing of this repository.
 *
 * Their tarballs are unpacked there as npm would, and each package is given just those dependencies that it declares, from
 * here, so that no registry is needed.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { collectLog } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { readAnswers } from '@waybill/tools/read-answers.ts';
import { defaultPorts } from '@waybill/tools/system.ts';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import {
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from '../packages/listener/src/listener-bench.fixture.ts';
import { packedPackages, packPackages } from '../release/pack.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const LISTENER = `
import { runListener } from '@waybill/listener';

export const handlers = {
  'Greeting.Ask': async ({ data }) => ({ reply: { type: 'Greeting.Answer', data: { hello: data } } }),
};

await runListener({ service: 'greeting', handlers });
`;

const TYPED_LISTENER = `
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import {
  createListener,
  defineHandlers,
  type Handler,
  type Handlers,
  jsonSchema,
  oncePerEvent,
  runListener,
  TerminalError,
} from '@waybill/listener';
import { createTestListener, handleEvent } from '@waybill/listener/testing';

const greet: Handler = async ({ data, subject }, { signal, log }) => {
  if (data === undefined) throw new TerminalError('nobody', 'who shall be greeted?');
  log.info({ aborted: signal.aborted }, 'greets');
  return { reply: { type: 'Greeting.Answer', data, subject: subject ?? 'world' } };
};
export const handlers: Handlers = { 'Greeting.Ask': greet, 'Greeting.Slow': { handle: greet, timeoutMs: 60_000 } };

const broker = createMemoryBroker();
const listener = createListener({ service: 'greeting', handlers, ...broker });
const { data }: { data?: unknown } = await broker.ask({ type: 'Greeting.Ask', data: 'Ada' });
await listener.close();
await runListener({ service: 'greeting', handlers });

const typed = defineHandlers({
  'Typed.Ask': {
    schema: jsonSchema<{ name: string }>({ type: 'object' }),
    handle: ({ data: { name } }) => ({ reply: { type: 'Typed.Answer', data: name.length } }),
  },
});
const { reply } = await handleEvent(typed['Typed.Ask'], { data: { name: 'Ada' } });
const tested = await createTestListener({ service: 'typed', handlers: typed });
const answer = await tested.ask({ type: 'Typed.Ask', data: { name: 'Ada' } });
await tested.close();
export { answer, data, oncePerEvent, reply };
`;

const CLIENT = `
import { createClient } from '@waybill/client';

const { data } = await createClient({ url: process.argv[2] }).request('Greeting.Ask', 'Ada');
console.log(data.hello);
`;

const TYPED_CLIENT = `
import { ConnectionFailed, type ConnectionState, createClient, type MailboxEvent, RequestFailed } from '@waybill/client';

const events: MailboxEvent[] = [];
const states: ConnectionState['name'][] = [];
const client = createClient({ url: 'http://localhost:8080' });
const connection = client.connect({
  client: 'shop-7',
  onEvent: (event) => events.push(event),
  onState: ({ name }) => states.push(name),
});
const { data } = await connection.request<{ sentAt: number }>('PingRequest', {}, { timeoutMs: 100 });
await connection.close();
const failure: ConnectionFailed | undefined = await connection.closed;
export const told: [number, string | undefined, typeof RequestFailed] = [data.sentAt, failure?.problem.code, RequestFailed];
`;

const STRICT = {
  module: 'nodenext',
  target: 'es2024',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  noEmit: true,
};

/** How CommonJS and TypeScript before 4.7 resolve imports; the packages are ES modules alone. */
const UNSERVED = ['node10', 'node16-cjs'];

let project: string;
let tarballs: string[];
let packages: string[];
/** What npx runs. */
let waybill: string[];
before(async () => {
  project = await mkdtemp(join(tmpdir(), 'waybill-installed-'));
  tarballs = await packPackages(join(project, 'tarballs'));
  packages = tarballs.map((tarball) => install(tarball, project));
  symlinkSync(join(root, 'node_modules/@types'), join(project, 'node_modules/@types'));
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'elsewhere', type: 'module' }));
  waybill = [join(project, 'node_modules/waybill/dist/main.js')];
});
after(() => rm(project, { recursive: true }));

describe('the packages, packed and installed elsewhere', () => {
  it('are all that a user may need', () => {
    assert.equal(packages.length, packedPackages().length);
    assert.ok(packages.length >= 10);
  });

  it('keep the rules of published packages', async () => {
    for (const pkgDir of packages) {
      const { messages, pkg } = await publint({ pkgDir, pack: false });
      const told = messages.map((message) => `${pkg.name}: ${formatMessage(message, pkg)}`);
      assert.deepEqual(told, []);
    }
  });

  it('have types and JavaScript that resolve to each other', async () => {
    for (const tarball of tarballs) {
      const checked = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
      assert.ok(checked.types, `${tarball} has no types`);
      const problems = checked.problems.filter(
        (problem) => !('resolutionKind' in problem && UNSERVED.includes(problem.resolutionKind)),
      );
      assert.deepEqual(problems, [], tarball);
    }
  });

  it('hold no test, and sources for all that maps name', () => {
    assert.deepEqual(
      globSync('node_modules/@waybill/*/{dist,src}/**/*{test,fixture}.*', { cwd: project }),
      [],
    );
    const maps = globSync('node_modules/@waybill/*/dist/**/*.map', { cwd: project });
    assert.ok(maps.length > 400);
    for (const map of maps) {
      const { sources } = JSON.parse(readFileSync(join(project, map), 'utf8')) as { sources: string[] };
      for (const source of sources)
        assert.ok(existsSync(join(project, dirname(map), source)), `${map}: ${source}`);
    }
  });

  it('type a listener, and a client, under the strictest settings', () => {
    writeFileSync(join(project, 'typed.ts'), TYPED_LISTENER);
    writeFileSync(join(project, 'typed-client.ts'), TYPED_CLIENT);
    writeFileSync(
      join(project, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: STRICT, include: ['typed*.ts'] }),
    );
    assert.equal(typeErrors(project), '');
  });

  it('ask from JavaScript', async (t) => {
    const server = createServer((_request, response) => response.end('{"data":{"hello":"Ada"}}'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.after(() => server.close());
    writeFileSync(join(project, 'client.js'), CLIENT);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { stdout } = await promisify(execFile)(process.execPath, ['client.js', url], { cwd: project });
    assert.equal(stdout, 'Ada\n');
  });

  it('run a listener in JavaScript, which is given AMQP_URL and nothing else', async (t) => {
    const bench = await createListenerBench();
    t.after(() => bench.close());
    await runGreeting(t, project, { AMQP_URL: bench.broker.url });
    const { type, data } = await greet(bench);
    assert.deepEqual({ type, data }, { type: 'Greeting.Answer', data: { hello: 'Ada' } });
  });

  it('trace and log it under its own name', async (t) => {
    const [bench, receiver] = await Promise.all([createListenerBench(), startOtlpReceiver()]);
    t.after(() => Promise.all([bench.close(), receiver.close()]));
    await runGreeting(t, project, { AMQP_URL: bench.broker.url, ...receiver.env });
    await greet(bench);
    await receiver.waitFor(() => receiver.spans().some(({ name }) => name === 'process Greeting.Ask'));
    await receiver.waitFor(() => receiver.logs().some(({ body }) => body === 'listening'));
    const names = [...receiver.spans(), ...receiver.logs()].map(({ resource }) => resource['service.name']);
    assert.deepEqual(new Set(names), new Set(['greeting']));
  });
});

describe('npx waybill, installed elsewhere', () => {
  for (const [language, options] of Object.entries({ TypeScript: [], JavaScript: ['--js'] }))
    it(`makes a project in ${language} whose tests pass at once`, () => {
      const name = language.toLowerCase();
      execFileSync(process.execPath, [...waybill, 'new', name, ...options], { cwd: project });
      const cwd = join(project, name);
      const { status, stdout } = spawnSync(process.execPath, ['--test'], { cwd, env: {}, encoding: 'utf8' });
      assert.equal(status, 0, stdout);
      assert.match(stdout, /^# pass 3$|^ℹ pass 3$/m);
      if (language === 'TypeScript') assert.equal(typeErrors(cwd), '');
    });

  it('runs a whole system beside a listener, which loses nothing when its file is saved', async (t) => {
    const cwd = join(project, 'saved');
    execFileSync(process.execPath, [...waybill, 'new', 'saved', '--js'], { cwd: project });
    const handlers = join(cwd, 'src/handlers.js');
    const source = readFileSync(handlers, 'utf8');
    // Its first version answers once the file that it watches for is there.
    const slow = source.replace(
      '=> {',
      `=> { log.info('waits'); while (!existsSync('go')) await new Promise(setImmediate);`,
    );
    writeFileSync(handlers, `import { existsSync } from 'node:fs';\n${slow}`);
    const dev = await startDev(t, waybill, cwd);
    const order = `{"sku":"tea","quantity":2}`;

    const inFlight = dev.send('Order.Place', order);
    await dev.log.waitFor(({ msg }) => isLine(msg, '"msg":"waits"'));
    const another = source.replace(
      `  'Order.Place': {`,
      `  'Order.Count': async () => ({ reply: { type: 'Counted' } }),\n$&`,
    );
    writeFileSync(handlers, another);
    await dev.log.waitFor(({ msg }) => isLine(msg, '"msg":"stopping"'));
    writeFileSync(join(cwd, 'go'), '');
    assert.match(await inFlight, /"type": "Order.Placed"/);

    await eventually(async () => assert.match(await dev.send('Order.Count', '{}'), /"type": "Counted"/), {
      timeoutMs: 60_000,
    });
    await assert.rejects(dev.send('Order.Place', '{"sku":"tea"}'), /422 .*quantity/);
    await assert.rejects(dev.send('Order.Nope', '{}'), /404 /);
    await eventually(async () => {
      const described = await (await fetch(`http://127.0.0.1:${dev.env.PORT}/openapi.json`)).text();
      for (const told of ['"Order.Count"', '"Order.Place"', '"quantity"'])
        assert.ok(described.includes(told), told);
    });
    await assert.rejects(
      promisify(execFile)(process.execPath, [...waybill, 'dev'], { cwd, env: dev.env }),
      /already runs/,
    );

    await eventually(
      async () => {
        const answers = await readAnswers(`http://127.0.0.1:${dev.env.TELEMETRY_PORT}/metrics`);
        const { outcomes } = answers?.find(({ type }) => type === 'Order.Place') ?? {};
        assert.deepEqual(outcomes, { answered: 1, 'invalid-data': 1 });
      },
      { timeoutMs: 60_000 },
    );
    dev.child.kill('SIGTERM');
    assert.deepEqual(await once(dev.child, 'close'), [0, null]);
  });
});

/** Starts `npx waybill dev` on free ports; resolves when the system answers. */
async function startDev(t: TestContext, waybill: string[], cwd: string) {
  const env: Record<string, string> = { PATH: process.env.PATH ?? '' };
  for (const name of [...Object.keys(defaultPorts), 'AMQP_PORT', 'TELEMETRY_PORT'])
    env[name] = String(await freePort());
  const child = spawn(process.execPath, [...waybill, 'dev'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGTERM'));
  const log = collectLog({ name: 'waybill dev', child });
  await log.waitFor(({ msg }) => msg === 'ready', 60_000);
  const url = `http://127.0.0.1:${env.PORT}/`;
  async function send(type: string, data: string): Promise<string> {
    const args = [...waybill, 'send', type, '--data', data, '--url', url];
    return (await promisify(execFile)(process.execPath, args)).stdout;
  }
  return { child, log, env, send };
}

/** Whether it is what a listener says, as it is printed: with the service before it. */
function isLine(msg: unknown, part: string): boolean {
  return String(msg).startsWith('saved ') && String(msg).includes(part);
}

/** What the compiler says of a project. */
function typeErrors(folder: string): string {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  return spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' }).stdout;
}

/** Resolves when events arrive there. */
async function runGreeting(t: TestContext, project: string, env: Record<string, string>): Promise<void> {
  writeFileSync(join(project, 'greeting.js'), LISTENER);
  const args = ['--import', '@waybill/listener/telemetry', 'greeting.js'];
  const child = spawn(process.execPath, args, { cwd: project, env, stdio: ['ignore', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  const log = collectLog({ name: 'greeting', child });
  const { service, healthPort } = await log.waitFor(({ msg }) => msg === 'listening', 30_000);
  assert.equal(service, 'greeting');
  await eventually(() => expectReady(`http://127.0.0.1:${healthPort}/health/ready`));
}

async function greet(bench: ListenerBench): Promise<CloudEvent> {
  const event = makeRequest('', '', { type: 'Greeting.Ask', data: 'Ada' });
  await bench.send(event);
  return bench.replyTo(event);
}

async function expectReady(url: string) {
  const { status } = await fetch(url);
  assert.equal(status, 200);
}

/** Unpacks a package and gives it what it declares; returns its folder. */
function install(tarball: string, project: string): string {
  const manifest = JSON.parse(
    execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' }),
  );
  const folder = join(project, 'node_modules', manifest.name);
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', folder, '--strip-components=1']);
  for (const name of Object.keys(manifest.dependencies ?? {}))
    if (!name.startsWith('@waybill/'))
      link(name, join(root, 'packages', manifest.name.replace('@waybill/', '')), folder);
  return folder;
}

function link(name: string, source: string, folder: string) {
  const own = join(source, 'node_modules', name);
  const place = join(folder, 'node_modules', name);
  mkdirSync(dirname(place), { recursive: true });
  symlinkSync(existsSync(own) ? own : join(root, 'node_modules', name), place);
}
