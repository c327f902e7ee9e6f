/**
 * TLS of the ports that other processes and clients call: one certificate for all of a process, or none. Node's defaults
 * apply: TLS 1.2 at least, and no certificate is asked of callers.
 *
 * Callers have no settings here. An `https:` or `amqps:` URL makes them use TLS, the certificate must be for the name in
 * it, and whom they trust is for Node to know (`NODE_EXTRA_CA_CERTS`): undici, amqplib and grpc-js all leave it to Node.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { EnvError, makeExactValidator } from 'envalid';
import type { Relation } from '../config.ts';

/** A server's certificate, with those between it and the authority's after it, and its private key; both as PEM. */
export type KeyPair = { cert: string; key: string };

/** Certificates as PEM. */
export const certificate = makeExactValidator<string>((text) => {
  if (!succeeds(() => createSecureContext({ cert: text }))) throw new EnvError('is no certificate in PEM');
  return text;
});

const privateKey = makeExactValidator<string>((text) => {
  if (!succeeds(() => createPrivateKey(text)))
    throw new EnvError('is no private key in PEM without a passphrase');
  return text;
});

/** The settings of a process that has such ports. */
export const tlsSettings = {
  TLS_CERT: certificate({
    default: undefined,
    desc: 'Certificate of its ports, PEM, intermediate ones after it; with TLS_KEY they speak TLS (security.md). Usually TLS_CERT_FILE',
  }),
  TLS_KEY: privateKey({
    default: undefined,
    desc: 'Private key of TLS_CERT, PEM, without a passphrase. Usually TLS_KEY_FILE',
  }),
};

type TlsConfig = { TLS_CERT: string | undefined; TLS_KEY: string | undefined };

/** That both are given, and belong together, or neither. */
export const tlsRelation: Relation<TlsConfig> = {
  settings: ['TLS_CERT', 'TLS_KEY'],
  fault({ TLS_CERT: cert, TLS_KEY: key }) {
    if ((cert === undefined) !== (key === undefined)) return 'set both, or neither';
    if (!cert || !key || new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return undefined;
    return 'the key is not that of the certificate';
  },
};

/** What the servers are given. */
export function keyPairOf({ TLS_CERT: cert, TLS_KEY: key }: TlsConfig): KeyPair | undefined {
  return cert && key ? { cert, key } : undefined;
}

function succeeds(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
