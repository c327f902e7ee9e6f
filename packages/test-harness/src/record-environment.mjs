/**
 * Preloaded into a service (`--import`, by NODE_OPTIONS): writes down which environment variables the packages it depends
 * on read, as lines `<variable> <package>`, into the file that RECORD_ENVIRONMENT_IN names.
 */
import { appendFileSync } from 'node:fs';

const { env } = process;
const file = String(env.RECORD_ENVIRONMENT_IN);
const seen = new Set();

/** @param {string | symbol} name */
function record(name) {
  // Behind this function and the trap: what copies the whole environment is Object.assign, and does not count.
  const [reader = ''] = (new Error().stack ?? '').split('\n').slice(3);
  const [, dependency] = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(reader) ?? [];
  const line = `${String(name)} ${dependency}`;
  if (!dependency || typeof name === 'symbol' || seen.has(line)) return;
  seen.add(line);
  appendFileSync(file, `${line}\n`);
}

process.env = new Proxy(env, {
  get(target, name) {
    record(name);
    return Reflect.get(target, name);
  },
  has(target, name) {
    record(name);
    return Reflect.has(target, name);
  },
});
