import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { defaultPorts } from '@waybill/tools/system.ts';
import { describeTiers } from '@waybill/tools/tiers.ts';
import { servicePermissions } from '../../bin/plain/broker-users.mjs';
import { readStack } from '../stack.ts';

const MINE = { CREDENTIALS_PUBLIC_KEY: 'mine', CREDENTIALS_PRIVATE_KEYS_FILE: '/run/keys' };

describe('the secrets of npm start', () => {
  it('are new for each run, and each service is given its own alone', () => {
    const tiers = environments({ AMQP_URL: 'amqp://broker', SHUFFLE_SEED: '7', TLS_KEY_FILE: '/run/key' });
    assert.deepEqual(secretsOf(tiers, 'dataset-generator'), []);
    assert.deepEqual(secretsOf(tiers, 'ping-listener'), ['AMQP_URL']);
    assert.deepEqual(secretsOf(tiers, 'square-listener'), ['AMQP_URL']);
    assert.deepEqual(secretsOf(tiers, 'dispatcher'), ['AMQP_URL', 'INTERNAL_SECRETS']);
    assert.deepEqual(secretsOf(tiers, 'store'), ['INTERNAL_SECRETS', 'RESULTS_SECRETS']);
    assert.deepEqual(secretsOf(tiers, 'data-dispatch-listener'), ['AMQP_URL', 'CREDENTIALS_PRIVATE_KEYS']);
    const ofPublicWeb = ['CREDENTIALS_PUBLIC_KEY', 'INTERNAL_SECRETS', 'TLS_KEY_FILE'];
    assert.deepEqual(secretsOf(tiers, 'public-web'), ofPublicWeb);
    for (const env of tiers.values()) assert.equal(env.SHUFFLE_SEED, '7');

    const { publicKey, privateKeys } = keysOf(tiers);
    expectPair(publicKey, privateKeys);
    assert.notEqual(keysOf(environments({})).publicKey.x, publicKey.x);
  });

  it('of results are shared by the store and the listeners of the user', () => {
    const tiers = environments({}, { listeners: ['/shop/cards.ts'] });
    assert.deepEqual(secretsOf(tiers, 'cards'), ['RESULTS_SECRETS']);
    assert.equal(tiers.get('cards')?.RESULTS_SECRETS, tiers.get('store')?.RESULTS_SECRETS);
    assert.equal(tiers.get('cards')?.STORE_URLS, tiers.get('public-web')?.STORE_URLS);
  });

  it('are those that are set, if any are', () => {
    const tiers = environments({ ...MINE, INTERNAL_SECRETS_FILE: '/run/internal' });
    assert.deepEqual(secretsOf(tiers, 'public-web'), ['CREDENTIALS_PUBLIC_KEY', 'INTERNAL_SECRETS_FILE']);
    assert.deepEqual(secretsOf(tiers, 'data-dispatch-listener'), ['CREDENTIALS_PRIVATE_KEYS_FILE']);
    assert.equal(tiers.get('public-web')?.CREDENTIALS_PUBLIC_KEY, 'mine');
  });
});

describe('the secrets of the stack', () => {
  it('hold a key pair that belongs together, and stay when they are made again', (t) => {
    const folder = makeSecrets(t);
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    const [privateKeys, publicKey] = [read('private-keys/keys'), read('public-key/key')];
    expectPair(JSON.parse(publicKey), JSON.parse(privateKeys));
    execFileSync(process.execPath, ['bin/make-secrets.mjs', folder]);
    assert.deepEqual([read('private-keys/keys'), read('public-key/key')], [privateKeys, publicKey]);
  });

  it('are made though the run before was killed while it wrote one', (t) => {
    const folder = makeSecrets(t);
    const path = join(folder, 'grafana/admin-password');
    rmSync(path);
    writeFileSync(`${path}.new`, 'half', { mode: 0o400 });
    execFileSync(process.execPath, ['bin/make-secrets.mjs', folder]);
    assert.match(readFileSync(path, 'utf8'), /^[\w-]{43}$/);
    // Root may write to what was left, and would keep its mode.
    assert.equal(statSync(path).mode, statSync(join(folder, 'internal/secrets')).mode);
  });

  it('hold a password of its own for each user of the broker, which keeps it', (t) => {
    const folder = makeSecrets(t);
    const urls = () =>
      Object.keys(servicePermissions).map((name) =>
        readFileSync(join(folder, `broker-${name}/amqp-url`), 'utf8'),
      );
    const made = urls();
    const passwords = [
      readFileSync(join(folder, 'broker/password'), 'utf8'),
      ...made.map((url) => new URL(url).password),
    ];
    assert.equal(new Set(passwords).size, made.length + 1);
    for (const password of passwords) assert.match(password, /^[\w-]{43}$/);
    execFileSync(process.execPath, ['bin/make-secrets.mjs', folder]);
    assert.deepEqual(urls(), made);
  });

  it('are in the containers that need them, and in no other', () => {
    const users = (volume: string) =>
      Object.entries(readStack().services)
        .filter(([, { volumes = [] }]) =>
          volumes.some((mount) => mount.startsWith(`${volume}:/run/secrets/`)),
        )
        .map(([name]) => name)
        .sort();
    assert.deepEqual(users('private-keys'), ['data-dispatch-listener', 'secrets']);
    assert.deepEqual(users('public-key'), ['public-web', 'secrets']);
    assert.deepEqual(users('internal-secrets'), ['dispatcher', 'public-web', 'secrets', 'store']);
    assert.deepEqual(users('results-secrets'), ['secrets', 'store']);
    assert.deepEqual(users('broker-secrets'), ['rabbitmq', 'secrets']);
    for (const service of Object.keys(servicePermissions))
      assert.deepEqual(users(`broker-${service}`), [service, 'secrets'].sort());
  });
});

type Jwk = { kty: string; crv: string; kid: string; x: string; d?: string };

function expectPair(publicKey: Jwk, [privateKey, ...others]: Jwk[]): void {
  assert.deepEqual(others, []);
  const { d, ...rest } = privateKey as Jwk;
  assert.match(String(d), /^[\w-]{43}$/);
  assert.deepEqual(publicKey, rest);
  assert.deepEqual([publicKey.kty, publicKey.crv], ['OKP', 'X25519']);
  assert.match(publicKey.kid, /^[\w-]{36}$/);
}

function environments(
  env: NodeJS.ProcessEnv,
  options?: { listeners: string[] },
): Map<string, NodeJS.ProcessEnv> {
  const services = describeTiers(env, defaultPorts, options).flat();
  return new Map(services.map(({ name, env: own }) => [name, own]));
}

function secretsOf(tiers: Map<string, NodeJS.ProcessEnv>, name: string): string[] {
  const env = Object.entries(tiers.get(name) ?? {});
  const isSecret = (setting: string) =>
    /^(AMQP_URL|INTERNAL_SECRETS|RESULTS_SECRETS|CREDENTIALS_|TLS_)/.test(setting);
  return env
    .filter(([setting, value]) => isSecret(setting) && value !== undefined)
    .map(([setting]) => setting)
    .sort();
}

function keysOf(tiers: Map<string, NodeJS.ProcessEnv>): { publicKey: Jwk; privateKeys: Jwk[] } {
  return {
    publicKey: JSON.parse(String(tiers.get('public-web')?.CREDENTIALS_PUBLIC_KEY)),
    privateKeys: JSON.parse(String(tiers.get('data-dispatch-listener')?.CREDENTIALS_PRIVATE_KEYS)),
  };
}

function makeSecrets(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-secrets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync(process.execPath, ['bin/make-secrets.mjs', folder]);
  return folder;
}
