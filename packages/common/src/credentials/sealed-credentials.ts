/**
 * A client's broker credentials on their way through events, queues, logs and dead letters: a compact JWE (RFC 7516,
 * `ECDH-ES` with X25519, `A256GCM`) that public-web makes and only data-dispatch-listener opens.
 *
 * What they are for (client, queue, broker) is sealed in with them, so credentials taken from one event open in no
 * other: nobody who can write events gets them sent to a broker or a queue of his own.
 */
import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';
import { importJWK } from 'jose/key/import';
import { AppError } from '../errors.ts';
import type { PrivateJwk, PublicJwk } from './credential-keys.ts';

/** How to log in to the client's broker. */
export type Credentials = { user: string; pass: string };

/** What {@link Credentials} are for; as in the data of the event that carries them. */
export type CredentialsUse = {
  client_id: string;
  queue_name: string;
  amqp_host: string;
  amqp_port: number;
};

export type CredentialsSealer = {
  /** A compact JWE. Each is another one, also of the same credentials. */
  seal(credentials: Credentials & CredentialsUse): Promise<string>;
};

export type CredentialsOpener = {
  /**
   * What was sealed, if it was sealed for `use`.
   *
   * @throws AppError `invalid-request` otherwise: the same one whatever is wrong (unknown key, tampered, another
   *   algorithm, another use), without a cause, so that nothing of what is inside gets out by it.
   */
  open(jwe: string, use: CredentialsUse): Promise<Credentials>;
};

const ALG = 'ECDH-ES';
const ENC = 'A256GCM';
/** Names of 128 characters, and 255 each for user and password, in UTF-8 and base64url, with room to spare. */
const MAX_JWE_LENGTH = 8_192;

/** Creates what seals to `publicJwk`, whose `kid` goes into the JWE's header. */
export function createCredentialsSealer(publicJwk: PublicJwk): CredentialsSealer {
  const key = importJWK(publicJwk, ALG);
  const header = { alg: ALG, enc: ENC, kid: publicJwk.kid };
  // A key that cannot be imported is told by `seal`.
  key.catch(() => {});

  return {
    async seal({ user, pass, ...use }) {
      const plaintext = new TextEncoder().encode(JSON.stringify({ user, pass, ...usePart(use) }));
      return await new CompactEncrypt(plaintext).setProtectedHeader(header).encrypt(await key);
    },
  };
}

/** Creates what opens JWEs that were sealed to the public part of any of `privateJwks`. */
export function createCredentialsOpener(privateJwks: readonly PrivateJwk[]): CredentialsOpener {
  const keys = new Map(privateJwks.map((jwk) => [jwk.kid, jwk]));

  async function decrypt(jwe: string): Promise<Partial<Credentials & CredentialsUse> | null> {
    if (typeof jwe !== 'string' || jwe.length > MAX_JWE_LENGTH) throw refusal();
    const { plaintext } = await compactDecrypt(jwe, ({ kid }) => keyOf(kid), {
      keyManagementAlgorithms: [ALG],
      contentEncryptionAlgorithms: [ENC],
      // No compression: a small JWE could hold a large plaintext.
      maxDecompressedLength: 0,
    });
    return JSON.parse(new TextDecoder().decode(plaintext));
  }

  function keyOf(kid: string | undefined): PrivateJwk {
    const key = keys.get(kid ?? '');
    if (!key) throw refusal();
    return key;
  }

  return {
    async open(jwe, use) {
      const sealed = await decrypt(jwe).catch(() => {
        throw refusal();
      });
      if (!sealed || !isFor(sealed, use)) throw refusal();
      const { user, pass } = sealed;
      // Whoever has the public key can seal anything.
      if (typeof user !== 'string' || typeof pass !== 'string') throw refusal();
      return { user, pass };
    },
  };
}

function isFor(sealed: Partial<CredentialsUse>, use: CredentialsUse): boolean {
  return JSON.stringify(usePart(sealed)) === JSON.stringify(usePart(use));
}

/** In an order of its own, and nothing else that a caller's object may hold. */
function usePart({ client_id, queue_name, amqp_host, amqp_port }: Partial<CredentialsUse>) {
  return { client_id, queue_name, amqp_host, amqp_port };
}

function refusal(): AppError {
  return new AppError('invalid-request', 'the credentials cannot be opened, or are not for this client');
}
