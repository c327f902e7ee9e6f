/** Starts services on this machine for a measurement; they end with this process. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

const INTERNAL_SECRETS = randomBytes(32).toString('base64url');
/** @type {import('node:child_process').ChildProcess[]} */
const children = [];
process.on('exit', () => {
  for (const child of children) child.kill();
});

/** What runs a service as npm start does. */
export const preload = ['--import', '@waybill/common/telemetry'];

/**
 * Resolves when the program has logged `listening`.
 *
 * @param {string[]} args
 * @param {Record<string, string | number>} env
 * @returns {Promise<import('node:child_process').ChildProcess>}
 */
export async function start(args, env) {
  const child = spawn(process.execPath, args, {
    env: {
      ...process.env,
      INTERNAL_SECRETS,
      ...Object.fromEntries(Object.entries(env).map(([k, v]) => [k, String(v)])),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }))
    if (String(chunk).includes('"msg":"listening"')) break;
  child.stdout.resume();
  if (child.exitCode !== null) throw new Error(`${args.at(-1)} did not start`);
  return child;
}

/**
 * What each process holds in memory (its resident set), in words.
 *
 * @param {Record<string, import('node:child_process').ChildProcess>} services
 */
export function memory(services) {
  const sizes = Object.entries(services).map(([name, { pid }]) => {
    const [, kB] = readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/) ?? [];
    return `${name} ${Math.round(Number(kB) / 1024)} MB`;
  });
  return sizes.join(', ');
}

/** @param {number[]} values */
export function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
