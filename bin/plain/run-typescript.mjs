/** Runs a program of the project that is written in TypeScript. Plain JavaScript for any Node from 20 up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { findNode } from './find-node.mjs';
import { keepCompiled } from './keep-compiled.mjs';
import { runProgram } from './user-error.mjs';

/** A SIGKILL reaches this process alone. */
const END_WITH_PARENT = new URL('end-with-parent.mjs', import.meta.url).href;

const SIGNALS = /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']);

/**
 * Runs it in this process, or, where this Node is too old for that, by the project's own Node in a process that has this
 * one's arguments, input and output, gets its signals, and whose end becomes its own.
 *
 * @param {string} program its path from the project folder
 */
export async function runTypeScript(program) {
  keepCompiled();
  const url = new URL(`../../${program}`, import.meta.url);
  const node = await find();
  if (node === process.execPath) await import(url.href);
  else if (node !== undefined) await runBy(node, fileURLToPath(url));
}

/** Says why there is none. */
async function find() {
  /** @type {string | undefined} */
  let node;
  await runProgram(async () => {
    node = findNode();
  });
  return node;
}

/**
 * @param {string} node
 * @param {string} path
 */
async function runBy(node, path) {
  const args = ['--import', END_WITH_PARENT, path, ...process.argv.slice(2)];
  const child = spawn(node, args, { stdio: 'inherit' });
  // A Ctrl-C has reached the child already: a terminal tells all that run in its foreground.
  const isAtTerminal = [process.stdin, process.stdout, process.stderr].some(({ isTTY }) => isTTY);
  for (const signal of SIGNALS)
    process.on(signal, () => (signal === 'SIGINT' && isAtTerminal) || child.kill(signal));
  const [code, signal] = await once(child, 'close');
  process.exitCode = code ?? 1;
  if (signal === null) return;
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
