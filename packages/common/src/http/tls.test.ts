import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createAuthority } from '@waybill/test-harness/certificates.ts';
import { loadConfig } from '../config.ts';
import { keyPairOf, tlsRelation, tlsSettings } from './tls.ts';

const authority = createAuthority();
const pair = authority.issue({ names: ['localhost'] });
const other = authority.issue({ names: ['localhost'] });

const load = (env: NodeJS.ProcessEnv) => loadConfig(tlsSettings, env, [tlsRelation]);

/** The lines of the message about `env`, after the first. */
function faultsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    load(env);
  } catch (error) {
    return (error as Error).message.split('\n  ').slice(1);
  }
  return [];
}

describe('the settings of TLS', () => {
  it('are a certificate and its key, or neither', () => {
    assert.deepEqual(keyPairOf(load({ TLS_CERT: pair.cert, TLS_KEY: pair.key })), pair);
    assert.equal(keyPairOf(load({})), undefined);
  });

  it('may hold the whole chain', () => {
    const chain = pair.cert + authority.cert;
    assert.deepEqual(keyPairOf(load({ TLS_CERT: chain, TLS_KEY: pair.key })), { cert: chain, key: pair.key });
  });

  it('are refused when one is missing, or they do not belong together', () => {
    assert.deepEqual(faultsOf({ TLS_CERT: pair.cert }), ['TLS_CERT, TLS_KEY: set both, or neither']);
    assert.deepEqual(faultsOf({ TLS_KEY: pair.key }), ['TLS_CERT, TLS_KEY: set both, or neither']);
    assert.deepEqual(faultsOf({ TLS_CERT: pair.cert, TLS_KEY: other.key }), [
      'TLS_CERT, TLS_KEY: the key is not that of the certificate',
    ]);
  });

  it('are refused one by one when they are no PEM, and no value is repeated', () => {
    assert.deepEqual(faultsOf({ TLS_CERT: 'canary', TLS_KEY: pair.cert }), [
      'TLS_CERT: is no certificate in PEM',
      'TLS_KEY: is no private key in PEM without a passphrase',
    ]);
    assert.deepEqual(faultsOf({ TLS_CERT_FILE: '/nowhere', TLS_KEY: pair.key }), [
      'TLS_CERT_FILE: the file cannot be read: ENOENT',
    ]);
  });
});
