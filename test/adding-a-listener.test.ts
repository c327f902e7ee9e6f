/** docs/adding-a-listener.md, done as it says in a copy of this repository. */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { collectLog } from '@waybill/test-harness/collect-log.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { packagedListeners } from '@waybill/tools/packaged-listeners.ts';
import { defaultPorts } from '@waybill/tools/system.ts';
import { readStack } from './stack.ts';

const page = readFileSync('docs/adding-a-listener.md', 'utf8');
const NAME = 'greeting-listener';

describe('a listener that is added as the documentation says', () => {
  let copy: string;
  before(async () => {
    copy = realpathSync(await mkdtemp(join(tmpdir(), 'waybill-copy-')));
    copyRepository(copy);
    addListener(copy);
    installPackages(copy);
  });
  after(() => rm(copy, { recursive: true }));

  it('is a service of the stack, which alone has the URL of its user of the broker', () => {
    const { services, volumes = {} } = readStack(copy);
    assert.equal(services[NAME]?.build?.args?.PACKAGE, NAME);
    assert.equal(services[NAME]?.environment?.AMQP_URL_FILE, '/run/secrets/broker/amqp-url');
    const mounts = Object.entries(services).flatMap(([name, { volumes = [] }]) =>
      volumes.filter((mount) => mount.startsWith(`broker-${NAME}:`)).map((mount) => `${name} ${mount}`),
    );
    assert.deepEqual(mounts.sort(), [
      `${NAME} broker-${NAME}:/run/secrets/broker:ro`,
      `secrets broker-${NAME}:/run/secrets/broker-${NAME}`,
    ]);
    assert.ok(`broker-${NAME}` in volumes);
  });

  it('has a user of the broker, with rights on its own queues', () => {
    execFileSync(process.execPath, ['bin/make-secrets.mjs', 'secrets'], { cwd: copy });
    const url = new URL(readFileSync(join(copy, `secrets/broker-${NAME}/amqp-url`), 'utf8'));
    assert.equal(url.username, NAME);
    const { permissions } = JSON.parse(readFileSync(join(copy, 'secrets/broker/definitions.json'), 'utf8'));
    const own = permissions.find(({ user }: { user: string }) => user === NAME);
    assert.match('waybill.greeting.retry.200', new RegExp(own.configure));
    assert.doesNotMatch('waybill.ping', new RegExp(own.read));
  });

  it('has a test that passes', async () => {
    const test = `packages/${NAME}/src/greet.test.ts`;
    await promisify(execFile)(process.execPath, ['--test', test], { cwd: copy, env: bareEnvironment() });
  });

  it('runs under npm start, and answers', async (t) => {
    const env: Record<string, string> = {
      ...bareEnvironment(),
      PUBLIC_EVENT_TYPES: 'GreetingRequest',
      OTEL_SDK_DISABLED: 'true',
    };
    for (const name of [
      ...Object.keys(defaultPorts),
      'GREETING_LISTENER_HEALTH_PORT',
      'AMQP_PORT',
      'TELEMETRY_PORT',
    ])
      env[name] = String(await freePort());
    const child = spawn(process.execPath, ['bin/start.mjs', '--without-datasets'], { cwd: copy, env });
    t.after(() => child.kill('SIGTERM'));
    const log = collectLog({ name: 'npm start', child });
    await log.waitFor(({ msg }) => msg === 'ready', 90_000);
    const url = `http://127.0.0.1:${env.PORT}/`;
    const args = [...commandOf('node bin/req.mjs'), '--url', url];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: copy });
    assert.match(stdout, /"hello": "world"/);
    const started = log.lines.map(({ msg }) => String(msg).split(' ', 1)[0]);
    assert.ok(started.includes(NAME));
    assert.ok(!started.includes('dataset-generator') && !started.includes('data-dispatch-listener'));
  });
});

for (const { name, service } of packagedListeners)
  it(`${name} calls itself as its manifest says`, () => {
    const main = readFileSync(`packages/${name}/src/main.ts`, 'utf8');
    assert.deepEqual(
      [...main.matchAll(/\bservice: '(.+?)'/g)].map(([, own]) => own),
      [service],
    );
  });

it('every listener of the stack is a package that says so', () => {
  const { services } = readStack();
  const inStack = Object.keys(services).filter((name) => name.endsWith('-listener'));
  assert.deepEqual(inStack.sort(), packagedListeners.map(({ name }) => name).sort());
});

/** What git has of it, and what is new. */
function copyRepository(copy: string): void {
  const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    encoding: 'utf8',
  });
  for (const file of files.split('\0').filter((path) => path && existsSync(path)))
    cpSync(file, join(copy, file));
}

/** The files of the page, and its line. */
function addListener(copy: string): void {
  const files = [...page.matchAll(/^`(packages\/.+)`\n\n```\w+\n([\s\S]+?)^```$/gm)];
  assert.equal(files.length, 5);
  for (const [, path = '', text = ''] of files) write(join(copy, path), text);
  const line = /^In `docker-compose\.yml`.+\n\n```yaml\n(.+\n)```$/m.exec(page)?.[1];
  const stack = join(copy, 'docker-compose.yml');
  const lines = /(?:^ +- packages\/.+\/compose\.yml\n)+/m;
  writeFileSync(
    stack,
    readFileSync(stack, 'utf8').replace(lines, (others) => others + line),
  );
}

/** As `npm install` does, without a registry. */
function installPackages(copy: string): void {
  mkdirSync(join(copy, 'node_modules/@waybill'), { recursive: true });
  for (const name of readdirSync('node_modules'))
    if (!['@waybill', 'waybill'].includes(name))
      symlinkSync(resolve('node_modules', name), join(copy, 'node_modules', name));
  for (const name of readdirSync(join(copy, 'packages'))) {
    symlinkSync(join(copy, 'packages', name), join(copy, 'node_modules/@waybill', name));
    const own = resolve('packages', name, 'node_modules');
    if (existsSync(own)) symlinkSync(own, join(copy, 'packages', name, 'node_modules'));
  }
}

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The arguments of the page's command that begins so, as a shell would take them. */
function commandOf(start: string): string[] {
  const line = page.split('\n').find((text) => text.startsWith(start)) ?? assert.fail(start);
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? String(bare)).slice(1);
}
