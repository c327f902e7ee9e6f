/**
 * Runs services side by side: their output with their names before it, until a signal comes or one of them ends.
 *
 * They run in process groups of their own, so that a Ctrl-C reaches only this process, which then tells each of them
 * once; a terminal tells its whole foreground group, and npm tells its child again.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { styleText } from 'node:util';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));
const colours = /** @type {const} */ (['cyan', 'magenta', 'green', 'yellow', 'blue']);

/** The services drain for up to 10 s; what runs longer is killed. */
const STOP_DEADLINE_MS = 12_000;
/** One Ctrl-C can arrive twice within an instant; a second one on purpose comes later and kills. */
const SAME_SIGNAL_MS = 1_000;
/** After this long without being ready, it is said once what is being waited for. */
const SLOW_START_MS = 10_000;

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string[]} args what Node is started with
 * @property {Record<string, string | number | undefined>} env
 * @property {string} readyUrl answers 200 when the service is ready
 */

/**
 * @typedef {Service & {
 *   child: import('node:child_process').ChildProcess,
 *   ended: Promise<{ name: string, how: string, isClean: boolean }>,
 * }} Running
 */

/**
 * Starts all services and resolves once all have ended: with 0 after a signal (SIGINT, SIGTERM, SIGHUP) if all ended
 * with exit code 0, else with 1. When one ends by itself, it is named and the others are stopped.
 *
 * @param {object} options
 * @param {Service[]} options.services
 * @param {() => void} options.onReady called once, when all are ready
 * @returns {Promise<0 | 1>}
 */
export async function runServices({ services, onReady }) {
  const width = Math.max(...services.map(({ name }) => name.length));
  const stopped = stopSignal();
  const running = services.map((service, index) => start(service, index, width));
  // Should this process end by an error of its own, the services must not stay behind.
  process.on('exit', () => signalAll(running, 'SIGKILL'));

  const ready = new AbortController();
  allReady(running, ready.signal).then(onReady, () => {});
  const first = await Promise.race([stopped, ...running.map(({ ended }) => ended)]);
  ready.abort();
  if (first) console.error(`${first.name} ${first.how}; stopping the others`);
  else console.log('stopping');

  const outcomes = await stopAll(running);
  const unclean = outcomes.filter((outcome) => !outcome.isClean && outcome.name !== first?.name);
  for (const { name, how } of unclean) console.error(`${name} ${how} while stopping`);
  return first || unclean.length > 0 ? 1 : 0;
}

/**
 * @param {Service} service
 * @param {number} index
 * @param {number} width
 * @returns {Running}
 */
function start(service, index, width) {
  const child = spawn(process.execPath, service.args, {
    cwd: projectFolder,
    env: /** @type {NodeJS.ProcessEnv} */ (service.env),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const colour = colours[index % colours.length] ?? 'cyan';
  const prefix = styleText(colour, service.name.padEnd(width), { stream: process.stdout });
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on('line', (line) => console.log(`${prefix} | ${line}`));
  }
  const ended = new Promise((resolve) => {
    child.on('error', (error) =>
      resolve({ name: service.name, how: `did not start: ${error.message}`, isClean: false }),
    );
    child.on('close', (code, signal) => {
      // SIGTERM is how it is stopped here; one that is still starting has no handler for it yet.
      const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      resolve({ name: service.name, how, isClean: code === 0 || signal === 'SIGTERM' });
    });
  });
  return { ...service, child, ended };
}

/** Resolves with nothing at the first signal that asks to stop. */
function stopSignal() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => resolve(undefined));
  });
}

/** @param {Running[]} running */
async function stopAll(running) {
  const kill = () => signalAll(running, 'SIGKILL');
  const deadline = setTimeout(kill, STOP_DEADLINE_MS);
  const armed = setTimeout(() => process.on('SIGINT', kill), SAME_SIGNAL_MS);
  signalAll(running, 'SIGTERM');
  const outcomes = await Promise.all(running.map(({ ended }) => ended));
  clearTimeout(deadline);
  clearTimeout(armed);
  return outcomes;
}

/**
 * @param {Running[]} running
 * @param {NodeJS.Signals} signal
 */
function signalAll(running, signal) {
  for (const { child } of running) child.kill(signal);
}

/**
 * @param {Running[]} running
 * @param {AbortSignal} signal
 */
async function allReady(running, signal) {
  const waiting = new Set(running);
  const explain = () => {
    const names = [...waiting].map(({ name, readyUrl }) => `${name} (${readyUrl})`);
    console.log(`still waiting for ${names.join(', ')}: is the broker of AMQP_URL running?`);
  };
  const slow = setTimeout(explain, SLOW_START_MS);
  signal.addEventListener('abort', () => clearTimeout(slow));
  await Promise.all(
    running.map(async (service) => {
      while (!(await isReady(service.readyUrl))) await delay(100, undefined, { signal });
      waiting.delete(service);
    }),
  );
  clearTimeout(slow);
  signal.throwIfAborted();
}

/** @param {string} url */
async function isReady(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
