/**
 * A headless Chromium, and its pages as tests see them: by the Chrome DevTools Protocol, plainly over its WebSocket, since the few
 * commands that are needed need no library.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { readLines } from './child-output.ts';
import { tieToThisProcess } from './lifeline.ts';

const NAMES = ['chromium-headless-shell', 'chromium'];
/** How long a command may take: on a busy machine the first one does. */
const COMMAND_MS = 60_000;

/** Where a Chromium is installed. */
export function findChromium(): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) =>
    existsSync(path),
  );
}

/** Why tests in a browser cannot run here, or false: the `skip` option of a suite. */
export function needsChromium(): string | false {
  return findChromium() ? false : 'needs Chromium: install chromium-headless-shell';
}

export type Page = {
  /** Resolves with what an expression does, or what its promise resolves with. @throws with what it throws */
  evaluate<T = unknown>(expression: string): Promise<T>;
  /** Resolves with a PNG of what is seen. */
  screenshot(): Promise<Buffer>;
  /** As a window so large; `scheme` is what its user prefers. */
  look(options: { width: number; height: number; scheme: 'light' | 'dark' }): Promise<void>;
  /** What it has complained of on its console, and what it has thrown; grows. */
  complaints: string[];
  close(): Promise<void>;
};

export type Chromium = {
  /** Opens a page, in the same profile as the others; resolves when it has loaded. */
  open(url: string): Promise<Page>;
  close(): Promise<void>;
};

/** Starts one. @throws when none is installed */
export async function startChromium(): Promise<Chromium> {
  const program = findChromium();
  if (!program) throw new Error('there is no Chromium');
  const profile = await mkdtemp(join(tmpdir(), 'waybill-chromium-'));
  const options = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--hide-scrollbars',
  ];
  const args = [
    ...options,
    `--user-data-dir=${profile}`,
    '--remote-debugging-port=0',
    '--remote-allow-origins=*',
    'about:blank',
  ];
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  await once(child, 'spawn');
  // With the processes that it starts.
  const group = -(child.pid as number);
  const untie = tieToThisProcess({ pid: group, folder: profile });
  const exited = once(child, 'exit').finally(untie);
  const { promise: url, resolve, reject } = Promise.withResolvers<string>();
  const said: string[] = [];
  readLines(child, (line) => {
    said.push(line);
    const [, found] = /^DevTools listening on (ws:\S+)$/.exec(line) ?? [];
    if (found) resolve(found);
  });
  void exited.then(() => reject(new Error(`Chromium has ended:\n${said.join('\n')}`)));
  const devTools = await connectDevTools(await url);

  return {
    async open(url) {
      const { targetId } = await devTools.send<{ targetId: string }>('Target.createTarget', {
        url: 'about:blank',
      });
      const { sessionId } = await devTools.send<{ sessionId: string }>('Target.attachToTarget', {
        targetId,
        flatten: true,
      });
      return openPage(devTools, { targetId, sessionId, url });
    },
    async close() {
      devTools.close();
      process.kill(group, 'SIGKILL');
      await exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

type Told = { method: string; params: Record<string, unknown> };
type DevTools = {
  send<T>(method: string, params?: object, sessionId?: string): Promise<T>;
  /** Calls back with what a session tells. */
  on(sessionId: string, tell: (told: Told) => void): void;
  close(): void;
};

async function connectDevTools(url: string): Promise<DevTools> {
  const socket = new WebSocket(url);
  await once(socket, 'open', { signal: AbortSignal.timeout(COMMAND_MS) });
  const waiting = new Map<number, (answer: { result: never; error?: { message: string } }) => void>();
  const listeners = new Map<string, (told: Told) => void>();
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data));
    if (message.id === undefined) return listeners.get(message.sessionId)?.(message);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  };
  let ids = 0;
  return {
    send(method, params = {}, sessionId) {
      ids += 1;
      const id = ids;
      socket.send(JSON.stringify({ id, method, params, sessionId }));
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), COMMAND_MS);
        waiting.set(id, ({ result, error }) => {
          clearTimeout(timer);
          if (error) reject(new Error(`${method}: ${error.message}`));
          else resolve(result);
        });
      });
    },
    on: (sessionId, tell) => void listeners.set(sessionId, tell),
    close: () => socket.close(),
  };
}

async function openPage(
  devTools: DevTools,
  { targetId, sessionId, url }: { targetId: string; sessionId: string; url: string },
): Promise<Page> {
  const send = <T>(method: string, params?: object) => devTools.send<T>(method, params, sessionId);
  const complaints: string[] = [];
  const { promise: loaded, resolve: onLoaded } = Promise.withResolvers<void>();
  devTools.on(sessionId, ({ method, params }) => {
    if (method === 'Page.loadEventFired') onLoaded();
    if (method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded')
      complaints.push(JSON.stringify(params));
  });
  for (const domain of ['Page', 'Runtime', 'Log']) await send(`${domain}.enable`);
  await send('Page.navigate', { url });
  await loaded;

  return {
    complaints,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send<{
        result: { value: T };
        exceptionDetails?: { text: string; exception?: { description?: string } };
      }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    async screenshot() {
      const { data } = await send<{ data: string }>('Page.captureScreenshot', { format: 'png' });
      return Buffer.from(data, 'base64');
    },
    async look({ width, height, scheme }) {
      const size = { width, height, deviceScaleFactor: 1, mobile: false };
      await send('Emulation.setDeviceMetricsOverride', size);
      await send('Emulation.setEmulatedMedia', {
        features: [{ name: 'prefers-color-scheme', value: scheme }],
      });
    },
    async close() {
      await devTools.send('Target.closeTarget', { targetId });
    },
  };
}
