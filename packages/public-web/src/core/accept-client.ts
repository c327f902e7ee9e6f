/**
 * A new client, named over gRPC or HTTP: checks what was sent, seals the credentials, and hands a `NewClientRequest`
 * event to the dispatchers. Nothing waits for the dataset; the client is accepted when the broker has the event.
 */
import { randomUUID } from 'node:crypto';
import { type AllowedBroker, findAllowedBroker } from '@waybill/common/credentials/broker-address.ts';
import type { PublicJwk } from '@waybill/common/credentials/credential-keys.ts';
import { createCredentialsSealer } from '@waybill/common/credentials/sealed-credentials.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';
import type { ParkedRequests } from '../replies/parked-requests.ts';
import type { Account } from './account.ts';
import type { WaitingClient } from './ask.ts';
import { toNewClient } from './new-client.ts';
import type { SendConfirmed } from './send-confirmed.ts';
import { PUBLIC_WEB_SOURCE } from './source.ts';

/** What the longest user and password are when sealed, about. */
const MAX_SEALED_BYTES = 4 * 1024;

/**
 * Accepts a client, described by the fields of `NewClientRequest`; resolves with the id of its stream once the broker
 * has confirmed the event. When the caller has gone, an event not yet sent is not sent. Logs one line
 * and counts one event, whatever comes of it.
 *
 * @throws AppError what the caller is to be told: `invalid-request`, `unroutable` (404) when no listener takes such
 *   events, `not-accepted` (503) when it was provably not enqueued, `outcome-unknown` (504).
 */
export type AcceptClient = (
  fields: unknown,
  options: { onGone: WaitingClient['onGone']; log: Pick<Logger, 'info' | 'debug' | 'error'> },
) => Promise<string>;

/** Creates {@link AcceptClient}. Without a `publicKey` every client is refused as `unroutable`. */
export function createAcceptClient({
  parked,
  sendConfirmed,
  publicKey,
  allowedBrokers,
  deadlineMs,
  account,
}: {
  /** Bounds what is under way, and ends it at its deadline and when this instance stops. */
  parked: ParkedRequests;
  sendConfirmed: SendConfirmed;
  publicKey: PublicJwk | undefined;
  allowedBrokers: readonly AllowedBroker[];
  deadlineMs: number;
  account: Account;
}): AcceptClient {
  const sealer = publicKey && createCredentialsSealer(publicKey);

  return async (fields, { onGone, log }) => {
    const startedMs = performance.now();
    const id = randomUUID();
    let error: AppError | undefined;
    try {
      await accept(id, fields, onGone);
      return id;
    } catch (thrown) {
      error = toPublicError(thrown, log, { event_id: id });
      throw error;
    } finally {
      account({
        log,
        event: { id, type: NEW_CLIENT_TYPE },
        label: NEW_CLIENT_TYPE,
        status: error?.status ?? 202,
        code: error?.code,
        success: 'accepted',
        durationMs: performance.now() - startedMs,
      });
    }
  };

  async function accept(id: string, fields: unknown, onGone: WaitingClient['onGone']): Promise<void> {
    if (!sealer)
      throw new AppError('unroutable', 'datasets are not dispatched here (setting CREDENTIALS_PUBLIC_KEY)');
    const { amqp_user: user, amqp_pass: pass, ...use } = toNewClient(fields);
    if (!findAllowedBroker(allowedBrokers, { host: use.amqp_host, port: use.amqp_port }))
      throw new AppError('invalid-request', 'the broker is not allowed');
    // Before it is sealed, which costs more than all the rest: what is beyond the bound must cost nothing.
    const request = parked.park(deadlineMs, MAX_SEALED_BYTES);
    const sealed = sealer.seal({ user, pass, ...use });
    const makeEvent = async () => toEvent(id, { ...use, credentials: await sealed }, request.correlationId);
    await sendConfirmed(request, makeEvent, { label: NEW_CLIENT_TYPE, onGone });
  }
}

/** Without a deadline: the dataset takes as long as its client takes to read it. The dispatcher answers by `correlationid`. */
function toEvent(id: string, data: object, correlationid: string): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: PUBLIC_WEB_SOURCE,
    type: NEW_CLIENT_TYPE,
    time: new Date().toISOString(),
    data,
    correlationid,
  };
}
