import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  amqpUrl,
  count,
  httpUrl,
  httpUrls,
  loadConfig,
  logLevel,
  ms,
  port,
  type Settings,
  secrets,
  settingDoubts,
  str,
} from './config.ts';

const CANARY = 'canary-canary-canary-canary-canary';

const folder = mkdtempSync(join(tmpdir(), 'waybill-config-'));
after(() => rmSync(folder, { recursive: true }));

function file(content: string): string {
  const path = join(folder, `${Math.random()}`);
  writeFileSync(path, content);
  return path;
}

/** The message of the error that `env` leads to. */
function faultsOf(settings: Settings, env: NodeJS.ProcessEnv): string {
  try {
    loadConfig(settings, env);
  } catch (error) {
    assert.equal((error as { code: string }).code, 'invalid-config');
    return (error as Error).message;
  }
  return assert.fail('no fault was found');
}

/** What `validator` makes of `text`; the fault, when it refuses it. */
function read(validator: () => unknown, text: string): unknown {
  const settings: Settings = { X: validator() };
  try {
    return (loadConfig(settings, { X: text }) as { X: unknown }).X;
  } catch (error) {
    return (error as Error).message.replace('invalid settings:\n  X: ', 'fault: ');
  }
}

function assertRefused(validator: () => unknown, texts: string[], fault: RegExp): void {
  for (const text of texts) assert.match(String(read(validator, text)), fault, text);
}

describe('loadConfig', () => {
  test('reads what is set, and takes the default of what is not', () => {
    const settings = { NAME: str(), PORT: port({ default: 8080 }), MAX: count({ default: 5 }) };
    const config: { NAME: string; PORT: number; MAX: number } = loadConfig(settings, { NAME: 'x', MAX: '7' });
    assert.deepEqual({ ...config }, { NAME: 'x', PORT: 8080, MAX: 7 });
  });

  test('names every fault in one message, one per line', () => {
    const settings = { A: str(), B: str({ desc: 'the B' }), C: count(), D: port(), E: amqpUrl(), F: str() };
    const env = { C: '0', D: 'x', E: 'http://h', F: 'fine', E_FILE: '/nope', B_FILE: '/nope' };
    assert.deepEqual(faultsOf(settings, env).split('\n'), [
      'invalid settings:',
      '  B_FILE: the file cannot be read: ENOENT',
      '  A: is missing',
      '  B: is missing (the B)',
      `  C: 0 is not a whole number from 1 to ${Number.MAX_SAFE_INTEGER}`,
      '  D: x is not a whole number from 0 to 65535',
      '  E: must start with amqp:// or amqps://',
    ]);
  });

  test('asks of what is set whether a setting was meant, and of nothing that is far from one', () => {
    const settings = { AMQP_URL: amqpUrl(), PUBLIC_TYPES: str({ default: '' }), TOKEN: str({ default: '' }) };
    const env = { PUBLIC_TYPS: 'x', TOKEN_FLE: CANARY, PATH: '/bin', PUBLIC: 'x' };
    const doubts = [
      'PUBLIC_TYPS is no setting: did you mean PUBLIC_TYPES?',
      'TOKEN_FLE is no setting: did you mean TOKEN_FILE?',
    ];
    const started = { ...env, AMQP_URL: 'amqp://h' };
    assert.deepEqual(settingDoubts(loadConfig(settings, started), started), doubts);
    assert.deepEqual(
      faultsOf(settings, { ...env, AMQP_ULR: 'amqp://h' })
        .split('\n')
        .slice(1),
      [
        '  AMQP_URL: is missing',
        ...[...doubts, 'AMQP_ULR is no setting: did you mean AMQP_URL?'].map((doubt) => `  ${doubt}`),
      ],
    );
    // Both are set: the other is somebody else's.
    const both = { AMQP_URL: 'amqp://h', AMQP_URI: 'amqp://other' };
    assert.deepEqual(settingDoubts(loadConfig(settings, both), both), []);
  });

  test('treats an empty value as none', () => {
    assert.equal(loadConfig({ A: str({ default: 'd' }) }, { A: '' }).A, 'd');
    assert.match(faultsOf({ A: str() }, { A: '' }), /A: is missing/);
    assert.equal(loadConfig({ A: str() }, { A: '', A_FILE: file('from file') }).A, 'from file');
    assert.equal(loadConfig({ A: str({ default: 'd' }) }, { A_FILE: '' }).A, 'd');
    assert.match(faultsOf({ A: str() }, { A_FILE: file(' \n') }), /A: is missing/);
  });

  test('reads X from the file that X_FILE names, without the space around it, unless X is set', () => {
    assert.equal(loadConfig({ A: count() }, { A_FILE: file('42\n') }).A, 42);
    assert.equal(loadConfig({ A: count() }, { A: '1', A_FILE: '/nope' }).A, 1);
  });

  test('names a file that cannot be read', () => {
    assert.match(faultsOf({ A: str() }, { A_FILE: folder }), /A_FILE: the file cannot be read: EISDIR/);
  });

  test('ignores what is not a setting, NODE_ENV too', () => {
    const settings = { A: str({ default: 'd', devDefault: 'dev' }) };
    assert.deepEqual({ ...loadConfig(settings, { NODE_ENV: 'development', B: 'x' }) }, { A: 'd' });
  });

  test('never repeats what may be a secret', () => {
    const settings = {
      A: secrets(),
      B: secrets(),
      C: amqpUrl(),
      D: amqpUrl(),
      E: httpUrl(),
      F: httpUrls(),
      G: amqpUrl(),
      H: secrets(),
      I: str(),
      J: str(),
    };
    const message = faultsOf(settings, {
      A: 'canary',
      B_FILE: file(`${CANARY},${CANARY},${CANARY}`),
      C: `http://user:${CANARY}@host`,
      D: `amqp://user:${CANARY}/@host`,
      E: `amqp://user:${CANARY}@host`,
      F: `http://fine,ftp://user:${CANARY}@host`,
      G: `amqp://user:${CANARY}@`,
      H: `${CANARY},${CANARY}`,
      I_FILE: CANARY,
      J_FILE: `\0${CANARY}`,
    });
    assert.deepEqual(
      message.split('\n').map((line) => line.slice(2, 3)),
      ['v', 'I', 'J', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J'],
    );
    assert.doesNotMatch(message, /canary/);
  });
});

test('a wrong value is repeated only as far as shows which it is', () => {
  const long = 'x'.repeat(1_000_000);
  for (const validator of [count, port])
    assert.match(String(read(validator, long)), /^fault: x{40}… is not /);
});

test('port and count take whole numbers in decimal digits alone', () => {
  assert.deepEqual([read(port, '0'), read(port, '65535'), read(count, '1')], [0, 65_535, 1]);
  const wrong = ['-1', '1.5', '1e3', '0x10', '+1', ' 1', '1 ', '1_000', 'one', 'NaN', 'Infinity', '１'];
  for (const validator of [port, count, ms]) assertRefused(validator, wrong, /is not a whole number/);
  assertRefused(port, ['65536'], /from 0 to 65535/);
  assertRefused(count, ['0', '9007199254740992', '9'.repeat(400)], /from 1 to/);
});

test('ms takes what a timer can wait', () => {
  assert.deepEqual([read(ms, '1'), read(ms, '2147483647')], [1, 2_147_483_647]);
  assertRefused(ms, ['0', '2147483648', '30s'], /from 1 to 2147483647/);
});

test('amqpUrl takes amqp and amqps URLs with a host', () => {
  for (const url of ['amqp://host', 'amqps://user:pass@host:5671/vhost', 'amqp://[::1]:5672'])
    assert.equal(read(amqpUrl, url), url);
  assert.equal(read(amqpUrl, 'amqp://u:100%25@h/a%2Fb'), 'amqp://u:100%25@h/a%2Fb');
  const stray = ['amqp://u:100%@h', 'amqp://u%zz:p@h', 'amqp://h/100%', 'amqp://h/%2', 'amqp://u:%ff@h'];
  assertRefused(amqpUrl, stray, /^fault: has a % that begins no escape: write it as %25$/);
  assertRefused(amqpUrl, ['host:5672', 'amqp:///vhost', 'http://host', 'amqp://host:port', 'x'], /^fault: /);
});

test('httpUrl and httpUrls take http and https URLs, and drop the slash at their end', () => {
  assert.equal(read(httpUrl, 'https://host:1/path//'), 'https://host:1/path');
  assert.deepEqual(read(httpUrls, ' http://a/ ,, https://b '), ['http://a', 'https://b']);
  assertRefused(httpUrls, [',', ' ', 'http://a,b', 'http://a ftp://b'], /^fault: /);
});

test('secrets takes one or two of at least 32 characters', () => {
  const [a, b] = ['a'.repeat(32), 'b'.repeat(40)] as const;
  assert.deepEqual(read(secrets, a), [a]);
  assert.deepEqual(read(secrets, ` ${a} , ${b} `), [a, b]);
  assertRefused(secrets, ['a'.repeat(31), `${a},short`], /at least 32 characters/);
  assertRefused(secrets, [`${a},${b},${a}`], /one secret, or two/);
  assertRefused(secrets, [`${a},${a}`], /must differ/);
});

test('logLevel takes the levels of pino, and is info by default', () => {
  assert.equal(loadConfig({ L: logLevel() }, {}).L, 'info');
  assert.equal(read(logLevel, 'trace'), 'trace');
  assertRefused(logLevel, ['INFO', 'verbose', '30'], /not in choices/);
});
