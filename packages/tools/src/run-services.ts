/**
 * Runs services side by side, each as a process of its own.
 *
 * They run in process groups of their own, so that a Ctrl-C reaches only this process, which then tells each of them
 * once; a terminal tells its whole foreground group, and npm tells its child again.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { printable } from '../../../bin/plain/printable.mjs';
import { askReady } from './ask-ready.ts';
import { eachLine } from './each-line.ts';
import { createLifeline } from './lifeline.ts';

/** The services drain for up to 10 s; what runs longer is killed. */
const STOP_DEADLINE_MS = 12_000;

export type Service = {
  name: string;
  /** What Node is started with. */
  args: string[];
  env: NodeJS.ProcessEnv;
  /** The module that reads its settings from there. */
  settings?: string;
  /** Answers 200 when the service is ready; without it, the health port that the line `listening` names does, if it names one. */
  readyUrl?: string;
};

type End = { name: string; how: string; isClean: boolean };

export type RunningServices = {
  /** Resolves when all are ready; never, if they are stopped before. */
  ready: Promise<void>;
  /** How the first one ended. */
  firstEnd: Promise<End>;
  /** What is not ready yet, in words, and why as far as it says so. */
  waitingFor(): string[];
  /** Stops the last stage first and resolves with how each one ended. */
  stop(): Promise<End[]>;
  /** Ends all at once. */
  kill(): void;
};

type Running = Service & {
  service: Service;
  child: ChildProcess;
  hasSaidListening: boolean;
  /** Why it was not ready when it was asked last. */
  reason: string | undefined;
  ended: Promise<End>;
};

/**
 * Starts the services of the first stage, and when these are ready all others at once: services wait for what they need,
 * and a machine with several processors is ready sooner. Stages are the order of stopping.
 */
export function runServices({
  stages,
  onLine,
  onHealthPort = () => {},
}: {
  stages: Service[][];
  /** Is called with each line of output, fit for a terminal. */
  onLine: (name: string, line: string) => void;
  /** Is called each time a service without a `readyUrl` of its own says where it answers: it may be started again by itself. */
  onHealthPort?: (name: string, readyUrl: string) => void;
}): RunningServices {
  const running: Running[][] = [];
  const waiting = new Set(stages.flat());
  const stopping = new AbortController();
  const { promise: firstEnd, resolve: onEnd } = Promise.withResolvers<End>();

  async function startAll() {
    const [first = [], ...others] = stages;
    await startStages([first]);
    await startStages(others);
  }

  async function startStages(together: Service[][]) {
    const started = together.map((stage) => stage.map((service) => start(service, { onLine, onHealthPort })));
    running.push(...started);
    for (const { ended, child } of started.flat()) {
      ended.then(onEnd);
      lifeline.tie(child.pid);
    }
    await Promise.all(
      started.flat().map(async (each) => {
        await becomesReady(each, stopping.signal);
        waiting.delete(each.service);
      }),
    );
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
    waitingFor: () =>
      [...waiting].map((service) => {
        const reason = running.flat().find(({ name }) => name === service.name)?.reason ?? service.readyUrl;
        return reason ? `${service.name} (${reason})` : service.name;
      }),
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

function start(
  service: Service,
  { onLine, onHealthPort }: Required<Pick<Parameters<typeof runServices>[0], 'onLine' | 'onHealthPort'>>,
) {
  const child = spawn(process.execPath, service.args, {
    env: service.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const ended = new Promise<End>((resolve) => {
    child.on('error', (error) =>
      resolve({ name: service.name, how: `did not start: ${error.message}`, isClean: false }),
    );
    child.on('close', (code, signal) => {
      // SIGTERM is how it is stopped here; one that is still starting has no handler for it yet.
      const how = signal ? `was ended by ${signal}` : `ended with exit code ${code}`;
      resolve({ name: service.name, how, isClean: code === 0 || signal === 'SIGTERM' });
    });
  });
  const running: Running = {
    ...service,
    service,
    child,
    hasSaidListening: false,
    reason: undefined,
    ended,
  };
  for (const output of [child.stdout, child.stderr]) {
    eachLine(output, (line) => {
      if (line.includes('"msg":"listening"')) noteListening(running, line, onHealthPort);
      onLine(service.name, printable(line));
    });
  }
  return running;
}

function noteListening(
  running: Running,
  line: string,
  onHealthPort: (name: string, readyUrl: string) => void,
) {
  running.hasSaidListening = true;
  const [, port] = /"healthPort":(\d+)/.exec(line) ?? [];
  if (!port || running.service.readyUrl) return;
  running.readyUrl = `http://127.0.0.1:${port}/health/ready`;
  onHealthPort(running.name, running.readyUrl);
}

async function becomesReady(service: Running, signal: AbortSignal) {
  while (!(await isReady(service))) await delay(100, undefined, { signal });
  signal.throwIfAborted();
}

async function isReady(service: Running) {
  if (!service.readyUrl) return service.hasSaidListening;
  const { isReady, reason } = await askReady(service.readyUrl);
  service.reason = reason;
  return isReady;
}

async function stopStage(stage: Running[]) {
  const deadline = setTimeout(() => signalAll(stage, 'SIGKILL'), STOP_DEADLINE_MS);
  signalAll(stage, 'SIGTERM');
  const ends = await Promise.all(stage.map(({ ended }) => ended));
  clearTimeout(deadline);
  return ends;
}

function signalAll(running: Running[], signal: NodeJS.Signals) {
  for (const { child } of running) child.kill(signal);
}
