/**
 * The responses that each connection still owes, in the order of their requests. The first alone owns the connection: what
 * is written to another waits in it, and Node puts the head of a response in front of what waits, a `100 Continue` too.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const unanswered = new WeakMap<Socket, Set<ServerResponse>>();

/** Has `server` keep its responses from their request to their end. */
export function keepUnanswered(server: Server): void {
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    const responses = unanswered.get(socket);
    if (responses) responses.add(response);
    else unanswered.set(socket, new Set([response]));
    response.on('close', forget);
  });
}

/** One for all: what is made for each request is held as long as that is. */
function forget(this: ServerResponse): void {
  unanswered.get(this.req.socket)?.delete(this);
}

/** What `socket` owes, the oldest first. */
export function unansweredOn(socket: Socket): ServerResponse[] {
  return [...(unanswered.get(socket) ?? [])];
}
