/** What Prometheus is given: its own tool reads it, and tries the alerts. CI has the tool (Debian: `prometheus`). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

const run = (...args: string[]) => spawnSync('promtool', args, { encoding: 'utf8' });
const isMissing = run('--version').error !== undefined;

describe('Prometheus', { skip: isMissing && !process.env.CI && 'promtool is not installed' }, () => {
  for (const args of [
    ['check', 'config', 'grafana/prometheus.yaml'],
    ['check', 'config', 'grafana/prometheus-scrape.yaml'],
    ['test', 'rules', 'grafana/alerts.test.yaml'],
  ])
    it(`takes ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = run(...args);
      assert.equal(status, 0, stdout + stderr);
    });
});

it('every alert is told of in the docs, and tried where it fires and where it does not', () => {
  const names = [...readFileSync('grafana/alerts.yaml', 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) =>
    String(name),
  );
  assert.equal(names.length, 7);
  const docs = readFileSync('docs/operations.md', 'utf8');
  const tests = readFileSync('grafana/alerts.test.yaml', 'utf8');
  for (const name of names) {
    assert.ok(docs.includes(`\`${name}\``), name);
    assert.match(tests, new RegExp(`alertname: ${name} \\}`));
    assert.match(tests, new RegExp(`alertname: ${name}\\n\\s+exp_alerts`));
  }
});
