import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { AppError } from '@waybill/common/errors.ts';
import { createHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { cutOff } from '@waybill/common/http/open-sockets.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { WebSocket } from 'ws';
import type { Caller } from '../../admission/admission.ts';
import type { Clients } from '../../clients/clients.ts';
import type { Sessions } from '../../clients/sessions.ts';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { addWebSocketRoutes, isWebSocketUpgrade, type WebSocketOptions } from './websocket-routes.ts';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** How long a client may take to close its half. */
const LINGER_MS = 5_000;

/** A server with nothing but WebSockets. */
async function startServer(
  t: TestContext,
  options: Partial<WebSocketOptions> = {},
): Promise<FastifyInstance> {
  const app = createHttpServer({ log: pino({ level: 'silent' }), isUpgrade: isWebSocketUpgrade });
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request) => {
    request.caller = {} as Caller;
  });
  addWebSocketRoutes(app, {
    answerEvent: async () => assert.fail('asked'),
    held: createHeldReplies(),
    deadlineMs: 1_000,
    isAllowedOrigin: () => true,
    ...options,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => {
    cutOff(app.server);
    return app.close();
  });
  return app;
}

test('a WebSocket that is open holds nothing of the request that has asked for it', async (t) => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const app = await startServer(t);
  let asked: WeakRef<IncomingMessage> | undefined;
  app.server.once('upgrade', (request: IncomingMessage) => {
    asked = new WeakRef(request);
  });
  const client = new WebSocket(`ws://127.0.0.1:${portOf(app)}/ws`, 'cloudevents.json');
  t.after(() => client.terminate());
  await once(client, 'open');
  await eventually(() => {
    collectGarbage();
    assert.ok(asked);
    assert.equal(asked.deref(), undefined);
  });
  assert.equal(client.readyState, WebSocket.OPEN);
});

test('a client whose WebSocket is refused, and who never closes, leaves no connection behind', async (t) => {
  const app = await startServer(t);
  const client = connect({ port: portOf(app) as number, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => client.destroy());
  t.mock.timers.enable({ apis: ['setTimeout'] });
  client.write(`${UPGRADE}more that nobody reads`);
  const [answer] = await once(client, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 400 .*the subprotocol/s);
  await once(client, 'end');
  t.mock.timers.tick(LINGER_MS);
  t.mock.timers.reset();
  await eventually(async () => assert.equal(await openConnections(app.server), 0));
});

test('of a client that gives up while it is attached it is known that it has gone', async (t) => {
  const asked = Promise.withResolvers<() => boolean>();
  const attached = Promise.withResolvers<never>();
  const sessions = {
    attach: ({ isGone = () => false }: Parameters<Sessions['attach']>[0]) => {
      asked.resolve(isGone);
      return attached.promise;
    },
  };
  t.after(() => attached.reject(new AppError('client-gone', 'the client has gone')));
  const app = await startServer(t, { clients: { sessions } as unknown as Clients });
  const request = UPGRADE.replace('/ws', '/ws?client=a').replace(
    '\r\n\r\n',
    '\r\nsec-websocket-protocol: cloudevents.json\r\n\r\n',
  );
  const client = connect({ port: portOf(app) as number, host: '127.0.0.1' });
  client.write(request);
  const isGone = await asked.promise;
  assert.equal(isGone(), false);
  client.end();
  await eventually(() => assert.equal(isGone(), true));
});

function openConnections(server: {
  getConnections(done: (error: Error | null, count: number) => void): unknown;
}) {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
