/**
 * `npm test`: every test of the project, on one RabbitMQ for the whole run (test/harness/global-setup.ts).
 *
 *     npm test                              everything
 *     npm test -- packages/common test/e2e  what is in these folders, files or patterns
 *     npm test -- --test-name-pattern drain options go to `node --test`
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));
const everything = ['packages/*/src/**/*.test.ts', 'test/**/*.test.ts'];

if (Number(process.versions.node.split('.')[0]) < 24) {
  fail(
    `needs Node 24 or newer and this is ${process.version}: run it as "npm test", which uses the project's own`,
  );
}
const { findRabbitmq } = await import('../test/harness/rabbitmq.ts');

const args = process.argv.slice(2);
const selected = args.filter(isSelection);
const files = selected.length > 0 ? selected.map(toPattern) : everything;
const code = await run([
  '--test',
  '--test-global-setup=test/harness/global-setup.ts',
  // A test that starts processes waits more than it computes, so two files at a time suit two cores as well.
  '--test-concurrency=2',
  '--test-timeout=60000',
  // Without it, one timer or socket left open by a test that failed keeps the whole run from ending.
  '--test-force-exit',
  ...args.filter((arg) => !isSelection(arg)),
  ...files,
]);
report(code);

/** @param {string[]} nodeArgs */
function run(nodeArgs) {
  const child = spawn(process.execPath, nodeArgs, { cwd: projectFolder, stdio: 'inherit' });
  process.on('SIGINT', () => {}); // the terminal has told the child as well; its exit ends this
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  return new Promise((resolve) => {
    child.on('exit', (exitCode, signal) => resolve(signal ? 1 : exitCode));
  });
}

/** @param {string} arg */
function isSelection(arg) {
  return (
    !arg.startsWith('-') && (arg.includes('*') || statSync(arg, { throwIfNoEntry: false }) !== undefined)
  );
}

/** @param {string} path */
function toPattern(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? `${path}/**/*.test.ts` : path;
}

/** @param {number} testsCode */
function report(testsCode) {
  if (testsCode > 1) process.exit(testsCode); // nothing ran: the broker did not start, or an option is unknown
  const suites = files.join(' ');
  const broker = describeBroker();
  if (broker) {
    console.log(`ran ${suites} on ${broker}`);
    process.exit(testsCode);
  }
  const advice = 'install rabbitmq-server or set TEST_AMQP_URL';
  if (process.env.CI) fail(`ran ${suites} WITHOUT RabbitMQ, which CI must have: ${advice}`);
  console.log(`ran ${suites} WITHOUT RabbitMQ, so the tests that need it were skipped: ${advice}`);
  process.exit(testsCode);
}

function describeBroker() {
  const { TEST_AMQP_URL } = process.env;
  if (TEST_AMQP_URL) return `the broker of TEST_AMQP_URL (${new URL(TEST_AMQP_URL).host})`;
  return findRabbitmq() && 'a private RabbitMQ';
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
