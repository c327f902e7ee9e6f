import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { type Context, context, createContextKey, ROOT_CONTEXT } from '@opentelemetry/api';
import { createHttpServer, portOf } from '@waybill/common/http/http-server.ts';
import { pino } from 'pino';
import { addHotRoute } from './hot-route.ts';

const SPAN = createContextKey('the span of a request');

/** As the SDK's does, what it runs and binds is in a context of its own. */
function manageContexts(): void {
  const storage = new AsyncLocalStorage<Context>();
  context.setGlobalContextManager({
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (active, run, self, ...args) => storage.run(active, () => run.call(self as never, ...args)),
    bind: (active, target) =>
      ((...args: unknown[]) =>
        storage.run(active, () => (target as (...all: unknown[]) => unknown)(...args))) as never,
    enable: () => undefined as never,
    disable: () => undefined as never,
  });
}

test('a request is handled in the context that its hooks have entered, also when its body comes later', async (t) => {
  manageContexts();
  const app = createHttpServer({ log: pino({ level: 'silent' }) });
  t.after(() => app.close());
  app.addHook('onRequest', ({ url }, _reply, done) => {
    context.with(ROOT_CONTEXT.setValue(SPAN, `of ${url}`), done);
  });
  addHotRoute(app, '/events', {
    schema: {},
    idempotency: {
      preHandler: (_request, _reply, done) => done(),
      onSend: (_request, _reply, payload, done) => done(null, payload),
    },
    handle: async ({ body }, reply) => reply.send(`${body} ${context.active().getValue(SPAN)}`),
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const headers = { expect: '100-continue' };
  const posting = request({ method: 'POST', port: portOf(app), path: '/events', headers });
  posting.flushHeaders();
  await once(posting, 'continue');
  posting.write('a body ');
  posting.end('in pieces');
  const [response] = await once(posting, 'response');
  assert.equal(await text(response), 'a body in pieces of /events');
});
