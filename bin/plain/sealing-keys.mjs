/**
 * The key pair by which clients' broker credentials travel: public-web seals them with the public key, and only
 * data-dispatch-listener can open them. JSON Web Keys (RFC 7517) of X25519, with a `kid`.
 *
 * Plain JavaScript without dependencies: bin/make-secrets.mjs uses it.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';

/** @typedef {import('node:crypto').webcrypto.JsonWebKey & { kid?: string }} Jwk */

/** @returns {Jwk} a new private key */
export function makePrivateKey() {
  const { privateKey } = generateKeyPairSync('x25519');
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID() };
}

/**
 * @param {Jwk} privateKey
 * @returns {Jwk} what belongs to it and is no secret
 */
export function publicKeyOf(privateKey) {
  const key = createPublicKey(createPrivateKey({ key: privateKey, format: 'jwk' }));
  return { ...key.export({ format: 'jwk' }), kid: privateKey.kid };
}
