import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { it } from 'node:test';
import fastify from 'fastify';
import type { Clients } from '../../clients/clients.ts';
import type { Session } from '../../clients/sessions.ts';
import { createGetClientEvents } from './client-events.ts';

it('a client that goes while it attaches leaves nothing behind', async (t) => {
  const attaching = Promise.withResolvers<void>();
  const attached = Promise.withResolvers<Session>();
  const closed = Promise.withResolvers<void>();
  const session = { close: async () => closed.resolve() } as Session;
  const sessions = {
    attach() {
      attaching.resolve();
      return attached.promise;
    },
  };
  const app = fastify();
  t.after(() => app.close());
  app.decorateRequest('caller', { getter: () => ({ apiKeyId: undefined }) as never });
  const gone = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<boolean>();
  app.addHook('onRequest', async (_, reply) => void reply.raw.once('close', gone.resolve));
  const getClientEvents = createGetClientEvents({ clients: { sessions } as unknown as Clients });
  app.get('/clients/:client/events', async (request, reply) => {
    await getClientEvents(request, reply);
    answered.resolve(reply.raw.headersSent);
    return reply;
  });
  const { port } = new URL(await app.listen());

  const socket = connect(Number(port));
  await once(socket, 'connect');
  socket.write('GET /clients/me/events HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await attaching.promise;
  socket.destroy();
  await gone.promise;
  const begun = t.mock.method(globalThis, 'setInterval');
  attached.resolve(session);
  const isAnswered = await answered.promise;
  await closed.promise;
  assert.deepEqual([isAnswered, begun.mock.callCount()], [false, 0]);
});
