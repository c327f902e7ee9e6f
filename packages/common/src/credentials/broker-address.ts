/**
 * Which brokers of clients this system connects to. The list is the operator's; the host to be looked up in it is a
 * stranger's, so it must be spelled as the list spells it, but for the case of its letters: nothing is resolved,
 * decoded or trimmed, and what has no plain form (`user@host`, `host/?heartbeat=0`, a dot at the end, a zone,
 * anything but ASCII) is on no list.
 */
import { isIPv6 } from 'node:net';
import { EnvError, makeExactValidator } from 'envalid';
import { list } from '../config.ts';

/** `host` is a name, an IPv4 address, or an IPv6 address without brackets. */
export type BrokerAddress = { host: string; port: number };

/** One on the list, and whether it is connected to by TLS. */
export type AllowedBroker = BrokerAddress & { isTls: boolean };

/** AMQP's ports, without TLS and with it, as IANA assigned them. */
export const AMQP_PORT = 5672;
const AMQPS_PORT = 5671;

/**
 * A validator of settings: comma-separated `host:port`, or `amqps://host:port` for TLS; IPv6 in brackets; without a port it is
 * 5672, and 5671 with TLS.
 */
export const brokerAddresses = makeExactValidator<AllowedBroker[]>((text) => {
  const brokers = list(text).map((item) => {
    const broker = parse(item);
    // The value is not repeated: who gives a URL by mistake may give a password with it.
    if (!broker)
      throw new EnvError('give host:port or amqps://host:port, comma-separated, and IPv6 as [::1]:5672');
    return broker;
  });
  if (brokers.some((broker) => findAllowedBroker(brokers, broker)?.isTls !== broker.isTls))
    throw new EnvError('the same broker is listed with and without amqps://');
  return brokers;
});

/** The one of `allowed` that `address` is, if any: the same port, and the same host but for the case of its letters. */
export function findAllowedBroker(
  allowed: readonly AllowedBroker[],
  { host, port }: BrokerAddress,
): AllowedBroker | undefined {
  if (!isHost(host)) return undefined;
  const wanted = host.toLowerCase();
  return allowed.find((address) => address.port === port && address.host === wanted);
}

/** The broker of an `amqp:` or `amqps:` URL, as it would stand on a list. */
export function allowedBrokerOf(amqpUrl: string): AllowedBroker {
  const { protocol, hostname, port } = new URL(amqpUrl);
  const isTls = protocol === 'amqps:';
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return { host, port: Number(port) || defaultPort(isTls), isTls };
}

function parse(item: string): AllowedBroker | undefined {
  const { tls, v6, name, digits } =
    /^(?<tls>amqps:\/\/)?(?:\[(?<v6>[^[\]]+)\]|(?<name>[^:]+))(?::(?<digits>\d{1,5}))?$/.exec(item)?.groups ??
    {};
  const isTls = tls !== undefined;
  const host = v6 ?? name ?? '';
  const port = Number(digits ?? defaultPort(isTls));
  const isValid = isHost(host) && isIPv6(host) === (v6 !== undefined) && port >= 1 && port <= 65_535;
  return isValid ? { host: host.toLowerCase(), port, isTls } : undefined;
}

function defaultPort(isTls: boolean): number {
  return isTls ? AMQPS_PORT : AMQP_PORT;
}

/** RFC 1123, and the underscore that names of containers have. */
const HOST_NAME = /^(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(?:\.(?!$)|$))+$/;

function isHost(host: unknown): host is string {
  return typeof host === 'string' && (HOST_NAME.test(host) || (isIPv6(host) && !host.includes('%')));
}
