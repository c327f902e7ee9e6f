/** What tests of both ways to name a new client share. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { type PrivateJwk, parsePrivateJwks } from '@waybill/common/credentials/credential-keys.ts';
import { createCredentialsOpener } from '@waybill/common/credentials/sealed-credentials.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import type { Dispatcher } from './public-web.fixture.ts';

/** The password of {@link client}, which must be seen nowhere. */
export const CANARY = 'canary-password-of-user123';

/** The fields of a good request. */
export const client = {
  client_id: 'user123',
  queue_name: 'user123-data-queue',
  amqp_host: 'localhost',
  amqp_port: 0,
  amqp_user: 'guest',
  amqp_pass: CANARY,
};

const jwk = { ...generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }), kid: 'k1' };
const keys = parsePrivateJwks(JSON.stringify(jwk));
const { d, ...publicKey } = keys[0] as PrivateJwk;

/** What public-web takes new clients with. */
export const dataDispatchEnv = { CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKey) };

/** Fields at fault, and what the answer says of them. */
export const faults: [changes: Record<string, unknown>, message: string][] = [
  [{ client_id: '' }, 'client_id is required'],
  [{ queue_name: '' }, 'queue_name is required'],
  [{ client_id: '', queue_name: '' }, 'client_id is required'],
  [{ amqp_host: '' }, 'amqp_host is required'],
  [{ amqp_user: '' }, 'amqp_user is required'],
  [{ amqp_pass: '' }, 'amqp_pass is required'],
  [{ client_id: 'user 123' }, 'client_id must match ^[\\w.:-]{1,128}$'],
  [{ queue_name: 'q'.repeat(300) }, 'queue_name must match ^[\\w.:-]{1,128}$'],
  [{ queue_name: 'amq.user123' }, 'queue_name must not start with amq.'],
  [{ queue_name: 'waybill.replies' }, 'queue_name must not start with waybill.'],
  [{ amqp_port: -1 }, 'amqp_port must be a whole number from 1 to 65535, or 0 for 5672'],
  [{ amqp_port: 70_000 }, 'amqp_port must be a whole number from 1 to 65535, or 0 for 5672'],
  [{ amqp_pass: 'p'.repeat(256) }, 'amqp_pass must be text of 1 to 255 characters without NUL'],
  [{ amqp_host: 'evil.example' }, 'the broker is not allowed'],
  [{ amqp_host: 'guest@localhost' }, 'the broker is not allowed'],
  [{ amqp_port: 5673 }, 'the broker is not allowed'],
];

/** The dispatcher got one event, `NewClientRequest` of {@link client}, whose credentials open to what was sent. */
export async function assertSent(dispatcher: Dispatcher): Promise<CloudEvent> {
  const [event, ...others] = dispatcher.batches.flat() as [CloudEvent];
  assert.equal(others.length, 0);
  const { amqp_user, amqp_pass, ...use } = { ...client, amqp_port: 5672 };
  const { credentials, ...data } = event.data as typeof use & { credentials: string };
  assert.deepEqual(data, use);
  assert.deepEqual([event.type, event.expirytime, event.replyto], ['NewClientRequest', undefined, undefined]);
  const opened = await createCredentialsOpener(keys).open(credentials, use);
  assert.deepEqual(opened, { user: amqp_user, pass: amqp_pass });
  return event;
}

/** Neither what was logged nor what was sent on shows the password. */
export function assertNoCanary(publicWeb: Service, dispatcher: Dispatcher): void {
  const seen = JSON.stringify([publicWeb.logs, dispatcher.batches]);
  for (const shown of [
    CANARY,
    encodeURIComponent(CANARY),
    Buffer.from(CANARY).toString('base64').slice(0, -4),
  ])
    assert.ok(!seen.includes(shown));
}
