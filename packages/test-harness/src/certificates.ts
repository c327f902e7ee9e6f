/**
 * X.509 certificates for tests, made on the spot: nothing to install, and nothing that expires. Node can sign and read
 * certificates but not make them, so their DER (RFC 5280) is written here: ECDSA on P-256 with SHA-256.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

const HOUR_MS = 3_600_000;

/** A certificate and its private key, both as PEM. */
export type KeyPair = { cert: string; key: string };

export type CertificateOptions = {
  /** What it is for: DNS names and IPv4 addresses. */
  names: readonly string[];
  /** Until when it is valid; default an hour from now. */
  notAfter?: Date;
};

export type Authority = {
  /** What those have who trust it, as PEM. */
  cert: string;
  /** Makes a server's certificate, valid since a day ago. */
  issue(options: CertificateOptions): KeyPair;
};

/** Makes a certificate authority; two of the same name do not trust each other. */
export function createAuthority(name = 'authority of the tests'): Authority {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const make = (options: Omit<Content, 'issuer'>) => signed({ ...options, issuer: name }, own.privateKey);
  return {
    cert: make({ subject: name, publicKey: own.publicKey, extensions: [isAuthority] }),
    issue({ names, notAfter }) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const cert = make({ subject: 'test', publicKey, notAfter, extensions: [alternativeNames(names)] });
      return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
    },
  };
}

/** Certificates that whoever trusts `authority` must refuse when it calls `localhost`, and what Node says of each. */
export function refusedPairs(authority: Authority): { why: string; pair: KeyPair; reason: RegExp }[] {
  const names = ['localhost'];
  return [
    {
      why: 'of an authority that is not trusted',
      pair: createAuthority('somebody else').issue({ names }),
      reason: /unable to (verify the first|get local issuer) certificate/,
    },
    {
      why: 'that has expired',
      pair: authority.issue({ names, notAfter: new Date(Date.now() - HOUR_MS) }),
      reason: /certificate has expired/,
    },
    {
      why: 'for another host',
      pair: authority.issue({ names: ['elsewhere.test'] }),
      reason: /does not match certificate's altnames/,
    },
  ];
}

/** Makes this process trust `authority` as `NODE_EXTRA_CA_CERTS` makes others. */
export function trust(authority: Authority): void {
  setDefaultCACertificates([...getCACertificates('default'), authority.cert]);
}

type Content = {
  subject: string;
  issuer: string;
  publicKey: KeyObject;
  notAfter?: Date;
  extensions: Buffer[];
};

/** RFC 5280, 4.1: Certificate. */
function signed(content: Content, key: KeyObject): string {
  const body = toBeSigned(content);
  const certificate = sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, key)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) as string[];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** RFC 5280, 4.1.1.2: TBSCertificate. */
function toBeSigned({ subject, issuer, publicKey, notAfter, extensions }: Content): Buffer {
  const now = Date.now();
  // A positive number of any 16 bytes.
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)]);
  return sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))), // version 3
    tlv(0x02, serial),
    ecdsaWithSha256,
    distinguishedName(issuer),
    sequence(time(new Date(now - 24 * HOUR_MS)), time(notAfter ?? new Date(now + HOUR_MS))),
    distinguishedName(subject),
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions)),
  );
}

/** One type, length and value. */
function tlv(tag: number, ...values: Buffer[]): Buffer {
  const value = Buffer.concat(values);
  const { length } = value;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), value]);
}

function sequence(...items: Buffer[]): Buffer {
  return tlv(0x30, ...items);
}

function bitString(value: Buffer): Buffer {
  return tlv(0x03, Buffer.from([0]), value);
}

/** The common name alone. */
function distinguishedName(name: string): Buffer {
  return sequence(tlv(0x31, sequence(objectId('550403'), tlv(0x0c, Buffer.from(name)))));
}

/** UTCTime, `YYMMDDhhmmssZ`. */
function time(date: Date): Buffer {
  return tlv(
    0x17,
    Buffer.from(
      `${date
        .toISOString()
        .replace(/[-:T]|\.\d+/g, '')
        .slice(2)}`,
    ),
  );
}

function objectId(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'));
}

function extension(id: string, value: Buffer): Buffer {
  const isCritical = tlv(0x01, Buffer.from([0xff]));
  return sequence(objectId(id), isCritical, tlv(0x04, value));
}

/** RFC 5280, 4.2.1.6. */
function alternativeNames(names: readonly string[]): Buffer {
  const toName = (name: string) =>
    isIP(name) ? tlv(0x87, Buffer.from(name.split('.').map(Number))) : tlv(0x82, Buffer.from(name));
  return extension('551d11', sequence(...names.map(toName)));
}

const ecdsaWithSha256 = sequence(objectId('2a8648ce3d040302'));
/** RFC 5280, 4.2.1.9. */
const isAuthority = extension('551d13', sequence(tlv(0x01, Buffer.from([0xff]))));
