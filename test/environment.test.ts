import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { freshBroker } from '@waybill/test-harness/test-broker.ts';
import { DATASET_TIERS, startSystem, TIERS, type TierName } from './e2e/system.ts';

const SECTION = '## Environment variables that libraries read';
const recorder = import.meta.resolve('@waybill/test-harness/record-environment.mjs');
const tiers: TierName[] = [...TIERS, ...DATASET_TIERS];

describe('the environment', () => {
  const read = new Map<TierName, string[]>();
  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'environment-'));
    const [broker, otlp] = [await freshBroker(), await startOtlpReceiver()];
    const envs = Object.fromEntries(
      tiers.map((tier) => [
        tier,
        { RECORD_ENVIRONMENT_IN: join(folder, tier), NODE_OPTIONS: `--import ${recorder}` },
      ]),
    );
    for (const tier of tiers) await writeFile(join(folder, tier), '');
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1 };
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url };
    const system = await startSystem({ amqpUrl: broker.url, counts, env, envs });
    await (await fetch(`${system.publicWebs[0]?.baseUrl}/ping`)).text();
    await system.stop();
    for (const tier of tiers) read.set(tier, (await readFile(join(folder, tier), 'utf8')).trim().split('\n'));
    await otlp.close();
    await broker.close();
    await rm(folder, { recursive: true });
  });

  for (const tier of tiers)
    it(`of a ${tier} is read by libraries as docs/security.md says`, async () => {
      const security = await readFile(join(import.meta.dirname, '../docs/security.md'), 'utf8');
      const section = security.split(SECTION)[1]?.split('\n## ')[0] ?? '';
      const lines = read.get(tier) ?? [];
      assert.ok(
        lines.some((line) => line.startsWith('OTEL_TRACES_EXPORTER ')),
        'nothing was recorded',
      );
      const unknown = lines.filter((line) => {
        const [name] = line.split(' ');
        return !name?.startsWith('OTEL_') && !section.includes(`\`${name}\``);
      });
      assert.deepEqual(unknown, []);
    });
});
