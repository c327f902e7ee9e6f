#!/usr/bin/env node
/**
 * Makes an API key for a client: prints the key, which is shown only now, and the entry of the setting API_KEYS, which
 * holds no more than its hash. The key goes to stderr with the words around it, the entry alone to stdout.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 up, on any machine.
 */
import { createHash, randomBytes } from 'node:crypto';

const [name, ...rest] = process.argv.slice(2);
if (name === undefined || rest.length > 0 || !/^\w[\w.:-]{0,127}$/.test(name)) {
  console.error('usage: node bin/make-api-key.mjs NAME');
  console.error('NAME stands in logs: 1 to 128 letters, digits, and _ . : -');
  process.exitCode = 1;
} else makeApiKey(name);

/** @param {string} id */
function makeApiKey(id) {
  // 256 random bits; the prefix tells scanners for leaked secrets what they have found.
  const key = `waybill_${randomBytes(32).toString('base64url')}`;
  const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  console.error(
    `The key of ${id}, which is stored nowhere:\n\n  ${key}\n\nIts entry for the array in API_KEYS:\n`,
  );
  console.log(JSON.stringify({ id, hash }));
}
