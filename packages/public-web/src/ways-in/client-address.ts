/**
 * Where a request comes from. A proxy is the peer of all its clients' connections, and tells their addresses in
 * `X-Forwarded-For`; so may anybody, and is not believed who is no trusted proxy.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';
import { AppError } from '@waybill/common/errors.ts';

/**
 * The address of a client whose connection comes from `peer`: behind a trusted proxy the last one in `forwardedFor` that is
 * of none, without the port that some proxies add. What is no address there is not taken for one.
 */
export type ClientAddress = (connection: {
  peer: string | undefined;
  forwardedFor: string | undefined;
}) => string;

/** Creates {@link ClientAddress}. @param trustedProxies as {@link parseTrustedProxies} gives them; none: the peer is the client */
export function createClientAddress(trustedProxies: readonly string[] = []): ClientAddress {
  if (trustedProxies.length === 0) return ({ peer = '' }) => peer;
  const isTrusted = proxyAddr.compile([...trustedProxies]);
  return ({ peer = '', forwardedFor }) => {
    const headers = { 'x-forwarded-for': forwardedFor && withoutPorts(forwardedFor) };
    const address = proxyAddr(
      { headers, socket: { remoteAddress: peer } } as unknown as IncomingMessage,
      isTrusted,
    );
    return isIP(address) ? address : peer;
  };
}

/** `203.0.113.7:4711` and `[2001:db8::7]:4711`, as Azure's gateways write them, are addresses too. */
function withoutPorts(forwardedFor: string): string {
  return forwardedFor
    .split(',')
    .map((entry) => entry.trim().replace(/^(?:\[([\da-f:.]+)\]|([\d.]+))(?::\d{1,5})?$/i, '$1$2'))
    .join(',');
}

/**
 * Reads a list of proxies: addresses, networks (`10.0.0.0/8`), or `loopback`, `linklocal` and `uniquelocal` for those of
 * private use.
 *
 * @throws AppError `invalid-config`
 */
export function parseTrustedProxies(items: readonly string[]): readonly string[] {
  for (const item of items) {
    const [address = '', bits, ...rest] = item.split('/');
    const maxBits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    const isNetwork =
      maxBits > 0 && rest.length === 0 && /^\d{1,3}$/.test(bits ?? '0') && Number(bits ?? 0) <= maxBits;
    if (!isNetwork && !NAMED.includes(item))
      throw new AppError('invalid-config', `${item.slice(0, 64)} is no address or network`);
  }
  return items;
}

const NAMED = ['loopback', 'linklocal', 'uniquelocal'];
