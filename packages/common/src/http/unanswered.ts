/**
 * The responses that each connection still owes, in the order of their requests. The first alone owns the connection: what
 * is written to another waits in it, and Node puts the head of a response in front of what waits, a `100 Continue` too.
 */
import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const unanswered = Symbol('unanswered');

/** A property of the connection, which is at hand with each request: what is found by a key may lie in no cache any more. */
type Owing = Socket & { [unanswered]?: ServerResponse[] };

/** Has `server` keep its responses from their request to their end. */
export function keepUnanswered(server: Server): void {
  server.on('request', ({ socket }: { socket: Owing }, response: ServerResponse) => {
    const responses = socket[unanswered];
    if (responses) responses.push(response);
    else socket[unanswered] = [response];
    response.on('close', forget);
  });
}

/** One for all: what is made for each request is held as long as that is. */
function forget(this: ServerResponse): void {
  const { [unanswered]: responses = [] } = this.req.socket as Owing;
  // Nearly always the oldest.
  const index = responses.indexOf(this);
  if (index !== -1) responses.splice(index, 1);
}

/** What `socket` owes, the oldest first. */
export function unansweredOn(socket: Owing): ServerResponse[] {
  return [...(socket[unanswered] ?? [])];
}
