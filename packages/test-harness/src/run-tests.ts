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
import { statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findRabbitmq } from './rabbitmq.ts';

const projectFolder = fileURLToPath(new URL('../../..', import.meta.url));
const together = ['packages/*/src/**/*.test.ts', 'test/{*,{e2e,fuzz}/**/*}.test.ts', 'bench/*.test.ts'];
/** Systems under faults and load, with bounds on how long they take to mend: one file at a time. */
const alone = ['test/faults/**/*.test.ts'];
/** The contract suite is not among them: packages/embedded-broker runs it on the embedded broker in any case. */
const onAnyBroker = [
  'packages/{dispatcher,listener,ping-listener,data-dispatch-listener}/src/**/*.test.ts',
  'test/e2e/**/*.test.ts',
];
const EMBEDDED = 'the embedded broker';

const args = process.argv.slice(2);
const selected = args.filter(isSelection);
const options = args.filter((arg) => !isSelection(arg));
const rabbitmq = describeRabbitmq();
if (process.env.CI && !rabbitmq)
  fail('there is no RabbitMQ, which CI must have: install rabbitmq-server or set TEST_AMQP_URL');

const first = rabbitmq ?? EMBEDDED;
const runs: Run[] =
  selected.length > 0
    ? runsOfSelected()
    : [
        { broker: first, patterns: together },
        { broker: first, patterns: alone, concurrency: 1 },
        ...(rabbitmq ? [{ broker: EMBEDDED, patterns: onAnyBroker }] : []),
      ];
let code = 0;
let isInterrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    isInterrupted = true;
  });
for (const each of runs) if (!isInterrupted) code = (await runTests(each)) || code;
if (!isInterrupted) console.log(`ran ${describeRuns()}`);
process.exit(code);

type Run = { broker: string; patterns: string[]; concurrency?: number };

/** A test that starts processes waits more than it computes, so two files at a time suit two cores as well. */
function runTests({ broker, patterns, concurrency = 2 }: Run): Promise<number> {
  const env = {
    ...process.env,
    // A run is hundreds of processes, most of whose start is the compiling of the same modules.
    NODE_COMPILE_CACHE: join(projectFolder, 'node_modules/.cache/compiled'),
    ...(broker === EMBEDDED && { TEST_BROKER: 'embedded', TEST_AMQP_URL: '' }),
  };
  return run(
    [
      '--test',
      '--test-global-setup=packages/test-harness/src/global-setup.ts',
      `--test-concurrency=${concurrency}`,
      '--test-timeout=180000',
      // One open timer in a test that timed out would keep the run alive.
      '--test-force-exit',
      ...options,
      ...patterns,
    ],
    env,
  );
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
  if (!rabbitmq) return `everything on ${EMBEDDED}; what needs a RabbitMQ was skipped`;
  return `everything on ${rabbitmq}, the tiers and the end-to-end suites on ${EMBEDDED} as well, the contract suite on both`;
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
