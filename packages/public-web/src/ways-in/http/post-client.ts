/** `POST /clients`: the rpc `NotifyNewClient` for those who would rather speak HTTP. */
import { AppError } from '@waybill/common/errors.ts';
import { mediaType } from '@waybill/common/event/media-type.ts';
import { parseJson } from '@waybill/common/event/parse-json.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AcceptClient } from '../../core/accept-client.ts';
import { clientGone } from './client-gone.ts';

/** What an accepted client's backend is told, over gRPC and HTTP alike. */
export const ACCEPTED = { status: 'OK', message: 'Client processing started' } as const;

/** The handler: 202 with the id of the stream once the broker has the event, a problem otherwise. */
export function createPostClient(acceptClient: AcceptClient) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    request.caller.assertMayAddClients();
    if (mediaType(request.headers['content-type']) !== 'application/json')
      throw new AppError('unsupported-media-type', 'send application/json');
    const fields = parseJson(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
    const streamId = await acceptClient(fields, { onGone: clientGone(reply), log: request.log });
    return reply.code(202).send({ stream_id: streamId, ...ACCEPTED });
  };
}
