import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { addWebSocketRoutes, isWebSocketUpgrade } from './websocket-routes.ts';

const UPGRADE =
  'GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
  'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** How long a client may take to close its half. */
const LINGER_MS = 5_000;

test('a client whose WebSocket is refused, and who never closes, leaves no connection behind', async (t) => {
  const app = createHttpServer({ log: pino({ level: 'silent' }), isUpgrade: isWebSocketUpgrade });
  addWebSocketRoutes(app, {
    answerEvent: async () => assert.fail('asked'),
    held: createHeldReplies(),
    deadlineMs: 1_000,
    isAllowedOrigin: () => true,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
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

function openConnections(server: {
  getConnections(done: (error: Error | null, count: number) => void): unknown;
}) {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
