/**
 * Which brokers of clients this system connects to. The list is the operator's; the host to be looked up in it is a
 * stranger's, so it must be spelled as the list spells it, but for the case of its letters: nothing is resolved,
 * decoded or trimmed, and what has no plain form (`user@host`, `host/?heartbeat=0`, a dot at the end, a zone,
 * anything but ASCII) is on no list.
 */
import { isIPv6 } from 'node:net';
import { EnvError, makeExactValidator } from 'envalid';
import { list } from './config.ts';

/** `host` is a name, an IPv4 address, or an IPv6 address without brackets. */
export type BrokerAddress = { host: string; port: number };

/** AMQP's port without TLS, as IANA assigned it. */
export const AMQP_PORT = 5672;

/** A validator of settings: comma-separated `host:port`, IPv6 in brackets; without a port it is 5672. */
export const brokerAddresses = makeExactValidator<BrokerAddress[]>((text) =>
  list(text).map((item) => {
    const address = parse(item);
    // The value is not repeated: who gives a URL by mistake may give a password with it.
    if (!address) throw new EnvError('give host:port, comma-separated, and IPv6 as [::1]:5672');
    return address;
  }),
);

/** Whether `address` is one of `allowed`: the same port, and the same host but for the case of its letters. */
export function isAllowedBroker(allowed: readonly BrokerAddress[], { host, port }: BrokerAddress): boolean {
  if (!isHost(host)) return false;
  const wanted = host.toLowerCase();
  return allowed.some((address) => address.port === port && address.host === wanted);
}

function parse(item: string): BrokerAddress | undefined {
  const { v6, name, digits } =
    /^(?:\[(?<v6>[^[\]]+)\]|(?<name>[^:]+))(?::(?<digits>\d{1,5}))?$/.exec(item)?.groups ?? {};
  const host = v6 ?? name ?? '';
  const port = Number(digits ?? AMQP_PORT);
  const isValid = isHost(host) && isIPv6(host) === (v6 !== undefined) && port >= 1 && port <= 65_535;
  return isValid ? { host: host.toLowerCase(), port } : undefined;
}

/** RFC 1123, and the underscore that names of containers have. */
const HOST_NAME = /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(?:\.(?!$)|$))+$/;

function isHost(host: unknown): host is string {
  return typeof host === 'string' && (HOST_NAME.test(host) || (isIPv6(host) && !host.includes('%')));
}
