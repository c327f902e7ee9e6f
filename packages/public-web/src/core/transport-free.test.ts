/** What an event meets behind the ways in knows none of them, so that a new one needs no change there. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const TRANSPORT = /^(?:fastify|@fastify\/|@grpc\/|node:https?2?$|undici)|\/ways-in\//;
const src = new URL('../', import.meta.url);

const files = ['core', 'admission', 'idempotency', 'clients']
  .flatMap((room) => readdirSync(new URL(`${room}/`, src)).map((name) => `${room}/${name}`))
  .filter((file) => !file.endsWith('.test.ts'));

function importsOf(file: string): string[] {
  const text = readFileSync(new URL(file, src), 'utf8');
  return [...text.matchAll(/(?:from|import) '([^']+)'/g)].map(([, specifier]) => String(specifier));
}

describe('no transport is imported by', () => {
  for (const file of files)
    it(file, () => {
      const transports = importsOf(file).filter((specifier) => TRANSPORT.test(specifier));
      assert.deepEqual(transports, []);
    });
});
