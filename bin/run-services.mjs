/**
 * Runs services side by side, each as a process of its own.
 *
 * They run in process groups of their own, so that a Ctrl-C reaches only this process, which then tells each of them
 * once; a terminal tells its whole foreground group, and npm tells its child again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eachLine } from './each-line.mjs';
import { createLifeline } from './lifeline.mjs';
import { printable } from './printable.mjs';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

/** The services drain for up to 10 s; what runs longer is killed. */
const STOP_DEADLINE_MS = 12_000;

/**
 * @typedef {object} Service
 * @property {string} name
 * @property {string[]} args what Node is started with
 * @property {NodeJS.ProcessEnv} env
 * @property {string} [readyUrl] answers 200 when the service is ready; without it, it is when it has logged `listening`
 */

/** @typedef {{ name: string, how: string, isClean: boolean }} End */

/**
 * @typedef {object} RunningServices
 * @property {Promise<void>} ready resolves when all are ready; never, if they are stopped before
 * @property {Promise<End>} firstEnd how the first one ended
 * @property {() => string[]} waitingFor what is not ready yet, in words
 * @property {() => Promise<End[]>} stop stops the last stage first and resolves with how each one ended
 * @property {() => void} kill ends all at once
 */

/** @typedef {Service & { child: import('node:child_process').ChildProcess, hasSaidListening: boolean, ended: Promise<End> }} Running */

/**
 * Starts the services of each stage together, once those of the stage before are ready.
 *
 * @param {object} options
 * @param {Service[][]} options.stages
 * @param {(name: string, line: string) => void} options.onLine each line of output, fit for a terminal
 * @returns {RunningServices}
 */
export function runServices({ stages, onLine }) {
  /** @type {Running[][]} */
  const running = [];
  /** @type {Set<Service>} */
  const waiting = new Set(stages.flat());
  const stopping = new AbortController();
  /** @type {(end: End) => void} */
  let onEnd = () => {};
  /** @type {Promise<End>} */
  const firstEnd = new Promise((resolve) => {
    onEnd = resolve;
  });

  async function startAll() {
    for (const stage of stages) {
      const started = stage.map((service) => start(service, onLine));
      running.push(started);
      for (const { ended, child } of started) {
        ended.then(onEnd);
        lifeline.tie(child.pid);
      }
      await Promise.all(started.map((service) => becomesReady(service, stopping.signal)));
      for (const service of stage) waiting.delete(service);
    }
  }
  const kill = () => signalAll(running.flat(), 'SIGKILL');
  // Should this process end by an error of its own, or be killed, the services must not stay behind.
  process.on('exit', kill);
  const lifeline = createLifeline();

  return {
    ready: new Promise((resolve) => {
      startAll().then(resolve, () => {}); // it fails by being stopped only
    }),
    firstEnd,
    waitingFor: () => [...waiting].map(({ name, readyUrl }) => (readyUrl ? `${name} (${readyUrl})` : name)),
    async stop() {
      stopping.abort();
      const ends = [];
      for (const stage of running.toReversed()) ends.push(...(await stopStage(stage)));
      lifeline.cut();
      return ends;
    },
    kill,
  };
}

/**
 * @param {Service} service
 * @param {(name: string, line: string) => void} onLine
 */
function start(service, onLine) {
  const child = spawn(process.execPath, service.args, {
    cwd: projectFolder,
    env: service.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  /** @type {Promise<End>} */
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
  const running = { ...service, child, hasSaidListening: false, ended };
  for (const output of [child.stdout, child.stderr]) {
    eachLine(output, (line) => {
      running.hasSaidListening ||= line.includes('"msg":"listening"');
      onLine(service.name, printable(line));
    });
  }
  return running;
}

/**
 * @param {Running} service
 * @param {AbortSignal} signal
 */
async function becomesReady(service, signal) {
  while (!(await isReady(service))) await delay(100, undefined, { signal });
  signal.throwIfAborted();
}

/** @param {Running} service */
async function isReady({ readyUrl, hasSaidListening }) {
  if (!readyUrl) return hasSaidListening;
  // Without the agent that Node may have go through a proxy.
  const asked = get(readyUrl, { agent: false, signal: AbortSignal.timeout(2000) });
  try {
    const [response] = await once(asked, 'response');
    response.destroy();
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

/** @param {Running[]} stage */
async function stopStage(stage) {
  const deadline = setTimeout(() => signalAll(stage, 'SIGKILL'), STOP_DEADLINE_MS);
  signalAll(stage, 'SIGTERM');
  const ends = await Promise.all(stage.map(({ ended }) => ended));
  clearTimeout(deadline);
  return ends;
}

/**
 * @param {Running[]} running
 * @param {NodeJS.Signals} signal
 */
function signalAll(running, signal) {
  for (const { child } of running) child.kill(signal);
}
