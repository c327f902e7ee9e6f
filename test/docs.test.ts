import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { CONFIGURATION_PAGE, renderConfiguration } from '../docs/configuration.ts';

test('docs/configuration.md says what the settings are', () => {
  assert.equal(readFileSync(CONFIGURATION_PAGE, 'utf8'), renderConfiguration(), 'run npm run docs');
});

test('docs/configuration.md has each default as it would be typed', () => {
  assert.doesNotMatch(renderConfiguration(), /\[object |undefined|null/);
});

/** Of programs that the reader writes. */
const EXAMPLES = ['docs/adr/NNNN-title.md', 'greeting.ts', 'greeting.test.ts', 'orders.ts', 'src/stock.ts'];
const EXAMPLE_FOLDERS = /^packages\/greeting-listener\//;

test('the files that pages name are there', () => {
  const files = listFiles();
  const pages = files.filter((file) => file.endsWith('.md'));
  assert.ok(pages.length > 10);
  const missing = pages.flatMap((page) => {
    const text = readFileSync(page, 'utf8');
    const named = [...text.matchAll(/`([\w.-]+(?:\/[\w.-]+)*\.(?:ts|mjs|sh|md|proto))`/g)].map(
      ([, path = '']) => path,
    );
    const linked = [...text.matchAll(/\]\(([\w./-]+)(?:#[^)]*)?\)/g)].map(([, path = '']) =>
      join(dirname(page), path),
    );
    return [
      // As far from the project folder as the page tells it: `listener/src/main.ts`, or `main.ts` beside it.
      ...named.filter(
        (path) =>
          !EXAMPLES.includes(path) &&
          !EXAMPLE_FOLDERS.test(path) &&
          !files.some((file) => `/${file}`.endsWith(`/${path}`)),
      ),
      ...linked.filter((path) => !files.some((file) => file === path || file.startsWith(join(path, '/')))),
    ].map((path) => `${page}: ${path}`);
  });
  assert.deepEqual(missing, []);
});

test('the pages that sources name are there, and nothing that is not of this repository', () => {
  const files = listFiles();
  const sources = files.filter((file) => /\.(ts|mjs|js|sh|ya?ml|py|go)$|Dockerfile$/.test(file));
  assert.ok(sources.length > 500);
  const missing = sources.flatMap((source) =>
    [...readFileSync(source, 'utf8').matchAll(/(?:[\w-]+\/)*[\w-]+\.md\b/g)]
      .map(([name]) => name)
      .filter((name) => !EXAMPLES.includes(name) && !files.some((file) => `/${file}`.endsWith(`/${name}`)))
      .map((name) => `${source}: ${name}`),
  );
  assert.deepEqual(missing, []);
});

/** All that git has, or would take. */
function listFiles(): string[] {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file && existsSync(file));
}
