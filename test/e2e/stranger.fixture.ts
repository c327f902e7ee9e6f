/** What shows that a stranger achieves nothing: a tap on all that is published, and a place that nobody may call. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { deriveInternalKeys, type Key } from '@waybill/common/internal-call/internal-keys.ts';
import { addressOf, type Consumer, startListener } from '../../packages/dispatcher/src/dispatcher.fixture.ts';
import { INTERNAL_SECRETS } from './system.ts';

/** The keys of the system under test, and those of a stranger. */
export const keys = deriveInternalKeys([INTERNAL_SECRETS]);
export const otherKeys = deriveInternalKeys(['a secret that a stranger has made up by himself']);

const HOUR_S = 3_600;

/** Where a stranger would have Waybill call. */
export type Trap = { port: number; url: string; calls(): number; close(): void };

/** Starts a {@link Trap} on loopback. */
export async function startTrap(): Promise<Trap> {
  let calls = 0;
  const server = createServer((socket) => {
    calls += 1;
    socket.destroy();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, url: `http://127.0.0.1:${port}`, calls: () => calls, close: () => server.close() };
}

/** Every event that is published to listeners, of whatever type. */
export type Tap = {
  types(): Set<string>;
  /** Resolves with the event of this id, once it has been published. */
  event(id: string): Promise<CloudEvent>;
  close: Consumer['close'];
};

/** Starts a {@link Tap}; it makes every type routable. */
export async function startTap(amqpUrl: string): Promise<Tap> {
  const consumer = await startListener(amqpUrl, 'tap', ['#']);
  const find = (id: string) => consumer.events().find((event) => event.id === id);
  return {
    types: () => new Set(consumer.events().map(({ type }) => type)),
    async event(id) {
      await consumer.until(() => find(id) !== undefined);
      return find(id) as CloudEvent;
    },
    close: consumer.close,
  };
}

/** A token of these claims whose signature is none, or that of `sign`. */
export function tokenOf(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
  sign: (text: string) => string = () => '',
): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${sign(signed)}`;
}

/** Reply addresses of `url` that public-web did not sign, or not as such; `genuine` is one of its own to change. */
export function forgedAddresses(url: string, genuine: string | undefined): string[] {
  const nowS = Math.floor(Date.now() / 1000);
  const claims = { kind: 'callback', url, instance: 'x', exp: nowS + HOUR_S };
  const [own] = keys.replyAddress as [Key];
  const header = { alg: 'HS256', kid: own.kid };
  const by =
    (secret: Buffer | string, hash = 'sha256') =>
    (text: string) =>
      createHmac(hash, secret).update(text).digest('base64url');
  const changed = genuine?.replace(/\.[^.]+\./, `.${tokenOf({}, claims).split('.')[1]}.`);
  return [
    url,
    addressOf(url, 'x', otherKeys.replyAddress),
    addressOf(url, 'x', keys.call),
    tokenOf({ alg: 'none' }, claims),
    tokenOf({ ...header, alg: 'none' }, claims),
    tokenOf(header, claims),
    tokenOf(header, claims, by('')),
    tokenOf(header, claims, by(own.kid)),
    tokenOf({ ...header, alg: 'HS512' }, claims, by(own.secret, 'sha512')),
    // Right in all but one claim.
    tokenOf(header, { ...claims, exp: nowS - 1 }, by(own.secret)),
    tokenOf(header, { ...claims, exp: undefined }, by(own.secret)),
    tokenOf(header, { ...claims, kind: 'webhook' }, by(own.secret)),
    ...(changed === undefined ? [] : [changed]),
  ];
}
