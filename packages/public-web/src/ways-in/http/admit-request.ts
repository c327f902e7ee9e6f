/** The public routes behind admission: who asks is looked at before the body is read. */
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Admit, type Caller, shownKey } from '../../admission/admission.ts';
import { countWrong, createAdmitShown } from '../../admission/admit-shown.ts';
import type { VerifyToken } from '../../admission/json-web-tokens.ts';
import type { Tickets } from '../../admission/tickets.ts';
import { type ClientAddress, createClientAddress } from '../client-address.ts';

/** Of callers; a log is made anew for one that has not come for long. */
const MAX_LOGS = 10_000;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; on routes behind {@link requireAdmission}. */
    caller: Caller;
  }
}

/**
 * From here on the routes of `app` are for callers only that `admit` lets in. Others get a problem: 401 with
 * `WWW-Authenticate`, 403, or 429 with `Retry-After`. Log lines of a request carry `api_key_id`. Given `tickets`, one in
 * the query (`?ticket=`) stands for the key that it was given for; given `clientAddress`, the address is what that says;
 * given `verifyToken`, a JSON Web Token may stand in place of a key.
 */
export function requireAdmission(
  app: FastifyInstance,
  admit: Admit,
  {
    tickets,
    clientAddress = createClientAddress(),
    verifyToken,
  }: {
    tickets?: Pick<Tickets, 'redeem'> | undefined;
    clientAddress?: ClientAddress | undefined;
    verifyToken?: VerifyToken | undefined;
  } = {},
): void {
  app.decorateRequest('caller');
  const logs = new LRUCache<string, FastifyBaseLogger>({ max: MAX_LOGS });
  const logOf = (apiKeyId: string) => {
    const log = logs.get(apiKeyId) ?? app.log.child({ api_key_id: apiKeyId });
    logs.set(apiKeyId, log);
    return log;
  };
  const admitShown = createAdmitShown({ admit, verifyToken });
  const admitTicket = (
    { redeem }: Pick<Tickets, 'redeem'>,
    { ticket, key, address }: { ticket: string; key: string | undefined; address: string },
  ) => {
    let apiKeyId: string | undefined;
    try {
      apiKeyId = redeem(ticket);
    } catch (error) {
      countWrong(admit, address);
      throw error;
    }
    return admit({ key, apiKeyId, address });
  };
  app.addHook('onRequest', (request, reply, done) => {
    const { authorization, 'x-api-key': apiKey } = request.headers;
    const { ticket } = request.query as { ticket?: unknown };
    const key = shownKey(authorization, apiKey);
    const address = addressOf(request, clientAddress);
    const enter = (caller: Caller) => {
      request.caller = caller;
      const { apiKeyId } = caller;
      if (apiKeyId !== undefined) reply.log = request.log = logOf(apiKeyId);
      done();
    };
    const admitted =
      tickets && typeof ticket === 'string'
        ? admitTicket(tickets, { ticket, key, address })
        : admitShown({ key, address });
    if (admitted instanceof Promise) admitted.then(enter, done);
    else enter(admitted);
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
