/**
 * A mailbox for clients that ask now and then: `GET /clients/{client}/mailbox` reads it, `POST /clients/{client}/events` sends
 * an event whose result goes there.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { assertClients, type Clients } from '../../clients/clients.ts';
import { toMessage } from '../../clients/entry.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import type { ClientRequest } from './client-events.ts';
import { clientGone } from './client-gone.ts';
import { decodeRequest, encodeBatchResponse } from './event-http.ts';
import { waitIn } from './prefer.ts';
import { assertRoom, sendAccepted } from './requests.ts';
import { sendEncoded } from './send-exactly.ts';

export type ClientMailboxOptions = {
  /** Undefined without a store. */
  clients?: Clients | undefined;
  held: HeldReplies;
  /** The longest a client waits. */
  deadlineMs: number;
};

/** The handler of `GET /clients/{client}/mailbox`: 200 with a batch of what comes after the token, or an empty one. */
export function createGetMailbox({ clients, held, deadlineMs }: ClientMailboxOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { params, query, headers, caller } = request as ClientRequest;
    const { readMailbox } = assertClients(clients);
    assertRoom(held);
    const { hold, release } = held.answer();
    const entries = await readMailbox({
      client: params.client,
      apiKeyId: caller.apiKeyId,
      after: query.after,
      waitMs: waitIn(headers.prefer, deadlineMs) ?? 0,
      onGone: clientGone(reply, release),
    });
    // Many may have waited.
    assertRoom(held);
    const encoded = encodeBatchResponse(entries.map(toMessage));
    hold(Buffer.byteLength(encoded.body));
    reply.header('cache-control', 'no-store');
    return sendEncoded(reply, encoded);
  };
}

/** The handler of `POST /clients/{client}/events`: 202 once the broker has the event. */
export function createPostClientEvent({ clients }: Pick<ClientMailboxOptions, 'clients'>) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { params, headers, body, caller, log } = request as ClientRequest;
    const { postToMailbox } = assertClients(clients);
    const message = { headers, body: Buffer.isBuffer(body) ? body : Buffer.alloc(0) };
    const decoded = decodeRequest(message, PUBLIC_WEB_SOURCE, () => {
      throw new AppError('unsupported-media-type', 'events are sent one by one to a mailbox');
    });
    const [event] = decoded.events;
    if (!event || event instanceof AppError) throw event;
    const { client } = params;
    await postToMailbox(event, { client, apiKeyId: caller.apiKeyId, caller, log });
    return sendAccepted(reply, event.id, `/clients/${client}/mailbox`);
  };
}
