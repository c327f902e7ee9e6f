import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { DATASET_SERVICES } from '@waybill/tools/tiers.ts';
import { parse } from 'yaml';
import { dataDispatchSettings } from '../packages/data-dispatch-listener/src/config.ts';
import { datasetGeneratorSettings } from '../packages/dataset-generator/src/config.ts';
import { dispatcherSettings } from '../packages/dispatcher/src/config.ts';
import { publicWebSettings } from '../packages/public-web/src/config.ts';
import { storeSettings } from '../packages/store/src/config.ts';
import { createProject } from '../packages/waybill/src/create-project.ts';
import { type Healthcheck, readCompose, readStack } from './stack.ts';

const stack = readStack();
const devcontainer = readCompose('.', '.devcontainer/docker-compose.yml');
const services = Object.entries(stack.services);
const packages = services.filter(([, { build }]) => build?.args?.PACKAGE !== undefined);

test('docker-compose.yml publishes public-web and Grafana alone, on loopback', () => {
  const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
  assert.deepEqual(published, [
    `public-web 127.0.0.1:\${PUBLIC_WEB_PORT:-8080}:8080`,
    `public-web 127.0.0.1:\${PUBLIC_WEB_GRPC_PORT:-50051}:50051`,
    `grafana 127.0.0.1:\${GRAFANA_PORT:-3000}:3000`,
  ]);
});

test('how many there are of each service is a variable of its own, which stays in .env whatever is scaled', () => {
  assert.ok(packages.length >= 6);
  for (const [name, { scale }] of packages)
    assert.equal(scale, `\${${name.replaceAll('-', '_').toUpperCase()}_SCALE:-1}`);
});

test('the commands that scale a tier leave the others as they are', () => {
  const commands = readFileSync('docs/stack.md', 'utf8').match(/^.*docker compose up.*--scale.*$/gm) ?? [];
  assert.ok(commands.length > 0);
  for (const command of commands) assert.match(command, / --no-deps --scale ([\w-]+)=\d+ \1(\s|$)/);
});

test('datasets run where their profile does, and nothing that runs without them needs them', () => {
  const optional = services
    .filter(([, { profiles }]) => profiles?.join() === 'datasets')
    .map(([name]) => name);
  assert.deepEqual(optional.sort(), [...DATASET_SERVICES].sort());
  for (const [name, { depends_on: needs = {}, profiles }] of services)
    if (!profiles) for (const needed of Object.keys(needs)) assert.ok(!optional.includes(needed), name);
});

test('clients of public-web may name the brokers that data-dispatch-listener connects to', () => {
  const [one, other] = ['public-web', 'data-dispatch-listener'].map(
    (name) => stack.services[name]?.environment,
  );
  assert.ok(one?.CLIENT_BROKERS);
  assert.equal(one.CLIENT_BROKERS, other?.CLIENT_BROKERS);
});

test('where metrics are scraped, they are of every service', () => {
  const config = readYaml<{ scrape_configs: { dns_sd_configs?: { names: string[] }[] }[] }>(
    'grafana/prometheus-scrape.yaml',
  );
  const scraped = config.scrape_configs.flatMap(({ dns_sd_configs: dns = [] }) =>
    dns.flatMap(({ names }) => names),
  );
  assert.deepEqual(scraped.sort(), packages.map(([name]) => name).sort());
});

test('an image has the sources of each package that its service imports', () => {
  const copied = readFileSync('Dockerfile', 'utf8').matchAll(/^COPY packages\/([\w-]+) packages\/\1$/gm);
  const shared = [...copied].map(([, name]) => name ?? '');
  for (const [, { build }] of packages) {
    const name = build?.args?.PACKAGE ?? '';
    const imported = [...importedFrom(`packages/${name}/src/main.ts`)].map(
      (file) => file.split('/')[1] ?? '',
    );
    assert.ok(imported.includes('common'), name);
    assert.deepEqual(
      [...new Set(imported)].filter((each) => ![name, ...shared].includes(each)),
      [],
      name,
    );
  }
});

/** The sources of packages that one imports, and that these import, itself among them; types are none. */
function importedFrom(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const imports = readFileSync(file, 'utf8').matchAll(/^(?:import|export) (?!type)[^'";]*?from '([^']+)'/gm);
  for (const [, specifier = ''] of imports) {
    const [, name, path = 'index.ts'] = /^@waybill\/([\w-]+)(?:\/(.+))?$/.exec(specifier) ?? [];
    if (specifier.startsWith('.')) importedFrom(join(dirname(file), specifier), seen);
    else if (name) importedFrom(`packages/${name}/src/${path}`, seen);
  }
  return seen;
}

test('every container has a limit of memory', () => {
  for (const [name, { mem_limit: limit }] of services) assert.match(limit ?? '', /^\d+[mg]$/, name);
});

describe('health checks', () => {
  const instruction = /^HEALTHCHECK (?<options>.*) \\\n {2}CMD (?<test>\[.*\])$/m.exec(
    readFileSync('Dockerfile', 'utf8'),
  )?.groups;
  const option = (name: string) => new RegExp(`--${name}=(\\w+)`).exec(instruction?.options ?? '')?.[1] ?? '';
  const ofImages: Healthcheck = {
    test: JSON.parse(instruction?.test ?? '[]'),
    interval: option('interval'),
    timeout: option('timeout'),
    start_interval: option('start-interval'),
  };
  const ofBackends = services.flatMap(([name, { healthcheck }]) =>
    healthcheck ? [[name, healthcheck] as const] : [],
  );

  for (const [name, { test: command, ...times }] of [['our images', ofImages] as const, ...ofBackends])
    test(`of ${name} start no virtual machine, and seldom anything once it is healthy`, () => {
      assert.ok(command.length > 0);
      assert.doesNotMatch(command.join(' '), /node|\.mjs|rabbitmq-diagnostics|rabbitmqctl/);
      assert.deepEqual(times, {
        ...times,
        interval: '30s',
        timeout: '10s',
        start_interval: '1s',
      });
    });
});

test('in our images health is on a port that no service has for anything else', () => {
  const healthPort = Number(/HEALTH_PORT=(\d+)/.exec(readFileSync('Dockerfile', 'utf8'))?.[1]);
  const all = {
    publicWebSettings,
    dispatcherSettings,
    dataDispatchSettings,
    datasetGeneratorSettings,
    storeSettings,
  };
  for (const [name, settings] of Object.entries(all)) {
    const others = Object.entries<{ default?: unknown }>(settings)
      .filter(([setting, { default: port }]) => setting !== 'HEALTH_PORT' && port === healthPort)
      .map(([setting]) => setting);
    assert.ok('HEALTH_PORT' in settings, name);
    assert.deepEqual(others, [], name);
  }
});

describe('Grafana and its backends', () => {
  const folders = ['grafana', 'grafana/dashboards', 'grafana/datasources'];
  const files = folders.flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => `${folder}/${name}`),
  );

  test('a search for traces answers the latest, not any twenty', () => {
    const queries = files.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(/"queryType": "traceql",\s*"query": "(.*)"/g)].map(
        ([, query = '']) => query,
      ),
    );
    assert.ok(queries.length > 0);
    for (const query of queries) assert.match(query, / with \(most_recent=true\)$/);
  });

  test('a search for traces reaches up to now', () => {
    const tempo = readYaml<{ query_frontend?: { query_end_cutoff?: string } }>('grafana/tempo.yaml');
    assert.equal(tempo.query_frontend?.query_end_cutoff, '0s');
  });

  test('nothing is set up for exemplars, which the services cannot send', () => {
    for (const file of ['docker-compose.yml', ...files])
      assert.doesNotMatch(readFileSync(file, 'utf8'), /exemplar/i, file);
  });

  test('Prometheus takes series that begin above 0, those of libraries and histograms, for increases', () => {
    const flags = stack.services.prometheus?.command?.join(' ') ?? '';
    assert.match(flags, /--enable-feature=\S*created-timestamp-zero-ingestion/);
  });
});

test('the development container has a project of its own: no container, network or volume of the stack', () => {
  assert.equal(stack.name, 'waybill');
  assert.equal(devcontainer.name, 'waybill-devcontainer');
  // A name of its own would be one for both projects.
  for (const [name, volume] of Object.entries({ ...stack.volumes, ...devcontainer.volumes }))
    assert.equal(volume, null, name);
  for (const { networks } of [stack, devcontainer]) assert.equal(networks, undefined);
  for (const [name, service] of [...services, ...Object.entries(devcontainer.services)])
    assert.equal(service.container_name, undefined, name);
});

test('the development container publishes no port that the stack publishes', () => {
  const { runServices } = JSON.parse(readFileSync('.devcontainer/devcontainer.json', 'utf8'));
  const source = readFileSync('.devcontainer/docker-compose.yml', 'utf8');
  for (const name of runServices as string[])
    if (stack.services[name]?.ports)
      assert.match(source, new RegExp(`^ {2}${name}:\n {4}ports: !reset`, 'm'));
});

test("a new project's docker-compose.yml runs what is installed, with settings that there are", (t) => {
  const into = mkdtempSync(join(tmpdir(), 'waybill-new-'));
  t.after(() => rmSync(into, { recursive: true }));
  createProject({ name: 'orders', language: 'typescript', into });
  const { services } = readCompose(join(into, 'orders'), 'docker-compose.yml');
  const settings = {
    'public-web': publicWebSettings,
    dispatcher: dispatcherSettings,
    store: storeSettings,
  };
  for (const [name, known] of Object.entries(settings)) {
    const { command = [], environment = {} } = services[name] ?? {};
    assert.equal(command.at(-1), `node_modules/@waybill/${name}/dist/main.js`);
    for (const setting of Object.keys(environment)) assert.ok(setting in known, setting);
  }
  const { AMQP_URL, STORE_URLS, RESULTS_SECRETS } = services.orders?.environment ?? {};
  assert.ok(AMQP_URL);
  assert.equal(STORE_URLS, services.dispatcher?.environment?.STORE_URLS);
  assert.ok(RESULTS_SECRETS);
  assert.equal(RESULTS_SECRETS, services.store?.environment?.RESULTS_SECRETS);
});

function readYaml<T>(path: string): T {
  return parse(readFileSync(path, 'utf8'));
}
