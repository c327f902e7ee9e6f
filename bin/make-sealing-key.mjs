#!/usr/bin/env node
/**
 * Makes the key of clients' broker credentials: prints the private key, for CREDENTIALS_PRIVATE_KEYS, to stdout, and the
 * public key, for CREDENTIALS_PUBLIC_KEY, to stderr with the words around it.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 up, on any machine.
 */
import { makePrivateKey, publicKeyOf } from './plain/sealing-keys.mjs';

if (process.argv.length > 2) {
  console.error('usage: node bin/make-sealing-key.mjs > private.json');
  process.exitCode = 1;
} else {
  const privateKey = makePrivateKey();
  console.error(
    `The public key, for CREDENTIALS_PUBLIC_KEY of public-web:\n\n${JSON.stringify(publicKeyOf(privateKey))}\n\n` +
      'The private key, for CREDENTIALS_PRIVATE_KEYS of data-dispatch-listener:\n',
  );
  console.log(JSON.stringify(privateKey));
}
