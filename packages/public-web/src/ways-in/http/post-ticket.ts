/** `POST /tickets`: a ticket for the connections of clients that cannot send headers. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Tickets } from '../../admission/tickets.ts';

/** The handler: 201 with `{ticket, expires}`, which no cache keeps. */
export function createPostTicket(tickets: Pick<Tickets, 'issue'>) {
  return async ({ caller }: FastifyRequest, reply: FastifyReply): Promise<object> => {
    const { ticket, expiresMs } = tickets.issue(caller.apiKeyId);
    reply.code(201).header('cache-control', 'no-store');
    return { ticket, expires: new Date(expiresMs).toISOString() };
  };
}
