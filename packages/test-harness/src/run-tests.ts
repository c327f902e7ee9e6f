/**
 * `npm test`: every test of the project. Where there is a RabbitMQ (one installed, which is started for the run, or the
 * one that TEST_AMQP_URL names) they run on it, and then what a broker can make a difference to runs again on the
 * embedded broker; elsewhere everything runs on the embedded broker.
 *
 *     npm test                              everything
 *     npm test -- packages/common test/e2e  what is in these folders, files or patterns, once
 *     npm test -- --test-name-pattern drain options go to `node --test`
 *     TEST_BROKER=embedded npm test         never on RabbitMQ
 */
import { spawn } from 'node:child_process';
import { statfsSync, statSync } from 'node:fs';
import { freemem } from 'node:os';
import { relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findChromium } from './chromium.ts';
import { createManagementApi } from './management-api.ts';
import { findPostgresql } from './postgresql.ts';
import { findRabbitmq, type Rabbitmq, startRabbitmq } from './rabbitmq.ts';

const projectFolder = fileURLToPath(new URL('../../..', import.meta.url));
/**
 * Systems under a steady load whose answers have tight bounds, or how long they take to mend or to stop: two files at a time,
 * for which two cores suffice. The others wait for events most of their time, and generously.
 */
const tight = 'alarms|broker|cut|kill|overload|rolling|stop';
const alone = [`test/faults/@(${tight}).test.ts`];
const together = [
  'packages/*/src/**/*.test.ts',
  'test/{*,{e2e,fuzz}/**/*}.test.ts',
  `test/faults/!(${tight}).test.ts`,
  'bench/{*,clients/*}.test.ts',
];
/**
 * Whose outcome a broker can change: what is declared, routed, acked, dead-lettered, moved, and where a trace breaks. The
 * contract suite is not among them, as packages/embedded-broker runs it on the embedded broker in any case, nor are
 * `npm start` and `npm run demo`, which bring that broker.
 */
const onAnyBroker = [
  'packages/dispatcher/src/{intake,main,replies}.test.ts',
  'packages/listener/src/{consume-events,handle-event,isolation,once-per-event,run-listener}.test.ts',
  'packages/{ping-listener,square-listener,data-dispatch-listener}/src/{main,dispatch-dataset,queue-sink}.test.ts',
  'test/e2e/{cases,data-dispatch,dataset,dead-letters,modes,trace}.test.ts',
];
const MEMORY_FOLDER = '/dev/shm';
/** Three times what the longest takes: on a machine that is busy with other things it takes twice as long. */
const TEST_MS = 300_000;
const EMBEDDED = 'the embedded broker';

const args = process.argv.slice(2);
const selected = args.filter(isSelection);
const options = args.filter((arg) => !isSelection(arg));
const rabbitmq = describeRabbitmq();
if (process.env.CI && !rabbitmq)
  fail('there is no RabbitMQ, which CI must have: install rabbitmq-server or set TEST_AMQP_URL');
if (process.env.CI && !findPostgresql())
  fail('there is no PostgreSQL, which CI must have: install postgresql');
if (process.env.CI && !findChromium())
  fail('there is no Chromium, which CI must have: install chromium-headless-shell');

const first = rabbitmq ?? EMBEDDED;
const runs: Run[] =
  selected.length > 0
    ? runsOfSelected()
    : [
        { broker: first, patterns: together },
        { broker: first, patterns: alone, concurrency: 2 },
        ...(rabbitmq ? [{ broker: EMBEDDED, patterns: onAnyBroker }] : []),
      ];
let code = 0;
let isInterrupted = false;
if (hasRoom(MEMORY_FOLDER)) process.env.TEST_RABBITMQ_DATA = MEMORY_FOLDER;
const ours = rabbitmq ? await provideRabbitmq() : undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    isInterrupted = true;
  });
for (const each of runs) if (!isInterrupted) code = (await runTests(each)) || code;
await ours?.stop();
if (!isInterrupted) console.log(`ran ${describeRuns()}`);
process.exit(code);

type Run = { broker: string; patterns: string[]; concurrency?: number };

/** A test that starts processes waits more than it computes: with two files at a time two cores are idle for a third of it. */
function runTests({ broker, patterns, concurrency = 3 }: Run): Promise<number> {
  const env = {
    ...process.env,
    ...(broker === EMBEDDED && { TEST_BROKER: 'embedded', TEST_AMQP_URL: '', TEST_MANAGEMENT_URL: '' }),
  };
  return run(
    [
      '--test',
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${TEST_MS}`,
      // One open timer in a test that timed out would keep the run alive.
      '--test-force-exit',
      ...options,
      ...patterns,
    ],
    env,
  );
}

/**
 * Starts a private RabbitMQ where none is named, and tells the test files about it in the environment, which they inherit.
 * The one of TEST_AMQP_URL has to let itself be looked into.
 */
async function provideRabbitmq(): Promise<Rabbitmq | undefined> {
  const { TEST_AMQP_URL } = process.env;
  if (TEST_AMQP_URL) {
    await checkManagement(TEST_AMQP_URL);
    return undefined;
  }
  const started = await startRabbitmq();
  process.env.TEST_AMQP_URL = started.url;
  process.env.TEST_MANAGEMENT_URL = started.managementUrl;
  return started;
}

async function checkManagement(amqpUrl: string): Promise<void> {
  const { hostname, username, password } = new URL(amqpUrl);
  const usual = `http://${username || 'guest'}:${password || 'guest'}@${hostname}:15672`;
  process.env.TEST_MANAGEMENT_URL ??= usual;
  await createManagementApi({ url: process.env.TEST_MANAGEMENT_URL })
    .queues('/')
    .catch(() =>
      fail(
        `the broker of TEST_AMQP_URL must have its management plugin on (${hostname}:15672, or set TEST_MANAGEMENT_URL)`,
      ),
    );
}

/** Whether some brokers may keep their data there, which waits for no disk then. */
function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return Math.min(bavail * bsize, freemem()) > 4 * 1024 ** 3;
  } catch {
    return false;
  }
}

function run(nodeArgs: string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, nodeArgs, { cwd: projectFolder, env, stdio: 'inherit' });
  // Of SIGINT the terminal has told the child as well; its exit ends this.
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('exit', (exitCode, signal) => resolve(signal ? 1 : (exitCode ?? 1)));
  });
}

/** What ran on which broker. */
function describeRuns() {
  if (selected.length > 0) return `${selected.join(' ')} on ${first}`;
  const stores = findPostgresql()
    ? 'the store on SQLite and PostgreSQL'
    : 'the store on SQLite; what needs a PostgreSQL was skipped';
  if (!rabbitmq) return `everything on ${EMBEDDED}; what needs a RabbitMQ was skipped; ${stores}`;
  return `everything on ${rabbitmq}, what a broker can change on ${EMBEDDED} as well; ${stores}`;
}

function isSelection(arg: string) {
  return (
    !arg.startsWith('-') && (arg.includes('*') || statSync(arg, { throwIfNoEntry: false }) !== undefined)
  );
}

/** What is below test/faults runs one file at a time here as well. */
function runsOfSelected(): Run[] {
  const { fast = [], faults = [] } = Object.groupBy(selected.map(toPattern), (pattern) =>
    isOfFaults(pattern) ? 'faults' : 'fast',
  );
  return [
    ...(fast.length > 0 ? [{ broker: first, patterns: fast }] : []),
    ...(faults.length > 0 ? [{ broker: first, patterns: faults, concurrency: 1 }] : []),
  ];
}

/** Whether it names files there, or may: `test/**` does. */
function isOfFaults(pattern: string) {
  return /^(test\/faults|(test\/)?\*\*)/.test(relative(projectFolder, resolve(projectFolder, pattern)));
}

function toPattern(path: string) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? `${path}/**/*.test.ts` : path;
}

function describeRabbitmq() {
  const { TEST_AMQP_URL, TEST_BROKER, TEST_RABBITMQ } = process.env;
  if (TEST_BROKER === 'embedded') return undefined;
  if (TEST_AMQP_URL) return `the RabbitMQ of TEST_AMQP_URL (${new URL(TEST_AMQP_URL).host})`;
  return findRabbitmq() && `a private RabbitMQ${TEST_RABBITMQ ? ` from ${TEST_RABBITMQ}` : ''}`;
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
