/** The public routes behind admission: who asks is looked at before the body is read. */
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { type Admit, type Caller, shownKey } from '../../admission/admission.ts';
import { isToken, type VerifyToken } from '../../admission/json-web-tokens.ts';
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
  /** A ticket or token that is wrong is counted as a request without a key, so that trying them is limited too. */
  const takeOf = (address: string) => {
    try {
      admit({ key: undefined, address });
    } catch (error) {
      if (!(error instanceof AppError && error.code === 'unauthorized')) throw error;
    }
  };
  const redeem = ({ redeem }: Pick<Tickets, 'redeem'>, ticket: string, request: FastifyRequest) => {
    try {
      return redeem(ticket);
    } catch (error) {
      takeOf(addressOf(request, clientAddress));
      throw error;
    }
  };
  app.addHook('onRequest', (request, reply, done) => {
    const { authorization, 'x-api-key': apiKey } = request.headers;
    const ticket = tickets && (request.query as { ticket?: unknown }).ticket;
    const key = shownKey(authorization, apiKey);
    const address = addressOf(request, clientAddress);
    const enter = (shown: Omit<Parameters<Admit>[0], 'address'>) => {
      request.caller = admit({ ...shown, address });
      const { apiKeyId } = request.caller;
      if (apiKeyId !== undefined) reply.log = request.log = logOf(apiKeyId);
    };
    if (verifyToken && isToken(key) && ticket === undefined) {
      const verified = verifyToken(key).catch((error) => {
        // As with tickets, and also while nobody can say whether it is wrong.
        takeOf(address);
        throw error;
      });
      verified.then((subject) => enter({ key: undefined, subject })).then(() => done(), done);
      return;
    }
    enter({
      key,
      apiKeyId: tickets && typeof ticket === 'string' ? redeem(tickets, ticket, request) : undefined,
    });
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
