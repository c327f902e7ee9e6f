/** The public routes behind admission: who asks is looked at before the body is read. */
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Admit, type Caller, shownKey } from '../../admission/admission.ts';
import { type ClientAddress, createClientAddress } from '../../admission/client-address.ts';
import type { Tickets } from '../../admission/tickets.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; on routes behind {@link requireAdmission}. */
    caller: Caller;
  }
}

/**
 * From here on the routes of `app` are for callers only that `admit` lets in. Others get a problem: 401 with
 * `WWW-Authenticate`, 403, or 429 with `Retry-After`. Log lines of a request carry `api_key_id`. Given `tickets`, one in
 * the query (`?ticket=`) stands for the key that it was given for; given `clientAddress`, the address is what that says.
 */
export function requireAdmission(
  app: FastifyInstance,
  admit: Admit,
  {
    tickets,
    clientAddress = createClientAddress(),
  }: { tickets?: Pick<Tickets, 'redeem'> | undefined; clientAddress?: ClientAddress | undefined } = {},
): void {
  app.decorateRequest('caller');
  const logs = new Map<string, FastifyBaseLogger>();
  const logOf = (apiKeyId: string) => {
    const log = logs.get(apiKeyId) ?? app.log.child({ api_key_id: apiKeyId });
    logs.set(apiKeyId, log);
    return log;
  };
  /** One that is wrong is counted as a request without a key, so that trying them is limited too. */
  const redeem = ({ redeem }: Pick<Tickets, 'redeem'>, ticket: string, request: FastifyRequest) => {
    try {
      return redeem(ticket);
    } catch (error) {
      admit({ key: undefined, address: addressOf(request, clientAddress) });
      throw error;
    }
  };
  app.addHook('onRequest', (request, reply, done) => {
    const { authorization, 'x-api-key': apiKey } = request.headers;
    const ticket = tickets && (request.query as { ticket?: unknown }).ticket;
    request.caller = admit({
      key: shownKey(authorization, apiKey),
      apiKeyId: tickets && typeof ticket === 'string' ? redeem(tickets, ticket, request) : undefined,
      address: addressOf(request, clientAddress),
    });
    const { apiKeyId } = request.caller;
    if (apiKeyId !== undefined) reply.log = request.log = logOf(apiKeyId);
    done();
  });
  app.setErrorHandler(refuse);
}

/** Where a request comes from. */
export function addressOf(
  { socket, headers }: Pick<FastifyRequest, 'socket' | 'headers'>,
  clientAddress: ClientAddress,
): string {
  // Node joins those of one name.
  const forwardedFor = headers['x-forwarded-for'] as string | undefined;
  return clientAddress({ peer: socket.remoteAddress, forwardedFor });
}

/** What is thrown on goes to the server's own error handler. */
function refuse(error: unknown, _request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // RFC 9110, section 11.6.1.
  if (error instanceof AppError && error.code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  throw error;
}
