/** What an address of a peer may look like. */
import { BlockList, isIP } from 'node:net';

/** `host:port`, an IPv6 address in brackets. */
const ADDRESS = /^(?:[\w.-]{1,253}|\[[\da-fA-F:.]{2,45}\]):\d{1,5}$/;

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether `text` is a host and a port. */
export function isPeerAddress(text: string): boolean {
  return ADDRESS.test(text) && Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535;
}

/** Whether an address, `host:port`, is on this machine itself. */
export function isLoopbackAddress(address: string): boolean {
  return isLoopback(address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, ''));
}

/** Whether a host, a name or an IP address, is this machine itself. */
export function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host === 'localhost';
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6');
}
