/** Every service's own settings, under any environment: values within their bounds, or one error that names each fault. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { loadConfig, type Settings } from '@waybill/common/config.ts';
import { AppError } from '@waybill/common/errors.ts';
import fc from 'fast-check';
import { makePrivateKey, publicKeyOf } from '../../bin/plain/sealing-keys.mjs';
import { dataDispatchSettings } from '../../packages/data-dispatch-listener/src/config.ts';
import { datasetGeneratorSettings } from '../../packages/dataset-generator/src/config.ts';
import { devTelemetrySettings } from '../../packages/dev-telemetry/src/config.ts';
import { dispatcherSettings } from '../../packages/dispatcher/src/config.ts';
import { listenerSettings } from '../../packages/listener/src/config.ts';
import { publicWebSettings } from '../../packages/public-web/src/config.ts';

const services: Record<string, Settings> = {
  'public-web': publicWebSettings,
  dispatcher: dispatcherSettings,
  listener: listenerSettings,
  'data-dispatch-listener': dataDispatchSettings,
  'dataset-generator': datasetGeneratorSettings,
  'dev-telemetry': devTelemetrySettings,
};

/** Stands in the values of what may hold a secret; a message that shows it shows the secret. */
const CANARY = 'canary-canary-canary-canary-canary';
const MAY_BE_SECRET = /SECRET|CREDENTIALS|API_KEYS|TLS_|AMQP_URL|BROKERS|_URLS?$/;

const folder = mkdtempSync(join(tmpdir(), 'waybill-fuzz-config-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'folder'));
let files = 0;

function file(content: string): string {
  files += 1;
  const path = join(folder, String(files));
  writeFileSync(path, content);
  return path;
}

const privateKey = makePrivateKey();
const harmless = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.oneof(fc.integer(), fc.double(), fc.bigInt()).map(String),
  fc.constantFrom('', ' ', '0', '1', '65535', '65536', '2147483647', '2147483648', '9007199254740992', '1e3'),
  fc.constantFrom('info', 'a=1,b=2', 'T=0', '*', 'a b', 'localhost:1', '[::1]:5672', ',', 'null', '[]'),
  fc.nat(20).map((power) => '9'.repeat(2 ** power)),
);
const secret = fc.oneof(
  fc.tuple(fc.string(), fc.string()).map(([before, rest]) => `${before}${CANARY}${rest}`),
  fc
    .tuple(
      fc.constantFrom('amqp', 'amqps', 'http', 'https', 'ftp', ''),
      fc.constantFrom('host', '', ':x', ','),
    )
    .map(([scheme, host]) => `${scheme}://user:${CANARY}@${host}`),
  fc.constantFrom(1, 2, 3).map((count) => Array.from({ length: count }, (_, i) => CANARY + i).join(',')),
  fc
    .constantFrom<object>(
      [{ id: CANARY, hash: CANARY }],
      { kty: 'OKP', crv: 'X25519', kid: CANARY, x: CANARY, d: CANARY },
      { [CANARY]: 1 },
      privateKey,
      [privateKey, privateKey],
      publicKeyOf(privateKey),
    )
    .map((value) => JSON.stringify(value)),
  fc.constantFrom('', `"${CANARY}`, `{${CANARY}`),
);
/** A path that may hold anything, as a container's may. */
const oddPath = fc.constantFrom('', '/nope/nope', join(folder, 'folder'), file(''), file(' \n'), '\0');
/** Files are written once, not for each run. */
const written = (value: fc.Arbitrary<string>) => fc.constantFrom(...fc.sample(value, 30).map(file));

function anyEnvironment(names: string[]): fc.Arbitrary<NodeJS.ProcessEnv> {
  const entries = names.flatMap((name) => {
    const value = MAY_BE_SECRET.test(name) ? secret : harmless;
    return [
      [name, value],
      [`${name}_FILE`, fc.oneof(oddPath, written(value))],
    ] as const;
  });
  return fc.record(Object.fromEntries(entries), { requiredKeys: [] });
}

/** What `env` is loaded to, or the message that says why not. Any other error fails the test. */
function load(settings: Settings, env: NodeJS.ProcessEnv): object | string {
  try {
    return { ...(loadConfig(settings, env) as object) };
  } catch (error) {
    assert(error instanceof AppError && error.code === 'invalid-config', error as Error);
    return error.message;
  }
}

/** The names of the settings that are at fault even when they are the only ones. */
function faultsIn(settings: Record<string, unknown>, env: NodeJS.ProcessEnv): string[] {
  return Object.entries(settings)
    .filter(([name, setting]) => typeof load({ [name]: setting } as Settings, env) === 'string')
    .map(([name]) => name)
    .sort();
}

function assertWithinBounds(config: object): void {
  for (const [name, value] of Object.entries(config)) {
    if (typeof value !== 'number') {
      assert.notEqual(value, '', name);
      continue;
    }
    assert(
      Number.isSafeInteger(value) && value >= (/PORT$|RATE_LIMIT|SHUTDOWN_PAUSE_MS/.test(name) ? 0 : 1),
      `${name}: ${value}`,
    );
    if (/PORT$/.test(name)) assert(value <= 65_535, `${name}: ${value}`);
    if (/_MS$/.test(name)) assert(value < 2 ** 31, `${name}: ${value}`);
  }
}

describe('any environment is loaded within bounds, or refused with every fault named and no secret told:', () => {
  for (const [service, settings] of Object.entries(services))
    test(service, () => {
      const env = anyEnvironment(Object.keys(settings as object));
      fc.assert(
        fc.property(env, (env) => {
          const loaded = load(settings, env);
          const faults = faultsIn(settings as Record<string, unknown>, env);
          if (typeof loaded !== 'string') {
            assert.deepEqual(faults, []);
            return assertWithinBounds(loaded);
          }
          assert.doesNotMatch(loaded, /canary/);
          const named = loaded.matchAll(/^ {2}([A-Z_]+?)(?:_FILE)?: /gm);
          assert.deepEqual([...new Set([...named].map(([, name]) => name))].sort(), faults);
        }),
      );
    });

  test('one setting each of its values, so that what is right is loaded as it is', () => {
    for (const settings of Object.values(services))
      for (const [name, setting] of Object.entries(settings as Record<string, unknown>))
        fc.assert(
          fc.property(MAY_BE_SECRET.test(name) ? secret : harmless, (value) => {
            const loaded = load({ [name]: setting } as Settings, { [name]: value });
            if (typeof loaded !== 'string') assertWithinBounds(loaded);
            else assert.doesNotMatch(loaded, /canary/);
          }),
        );
  });
});
