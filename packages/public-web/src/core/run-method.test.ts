import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { createRunMethod } from './run-method.ts';

/** Runs methods of a site with two namespaces, one of them within the other; and the types of the events that came of them. */
function runner() {
  const types: string[] = [];
  const runMethod = createRunMethod({
    namespaces: ['acme', 'acme.secret'],
    answerEvent: async ({ id, type }) => {
      types.push(type);
      return { id, reply: { specversion: '1.0', id, source: 'here', type: 'done' } };
    },
    log: pino({ enabled: false }),
  });
  const run = (namespace: string, service_name: string, method: string) =>
    runMethod({
      ...{ namespace, method, input: null, executionContext: {}, deadlineMs: 60_000 },
      service: { namespace, service_name },
    });
  return { run, types };
}

it('runs no event of one namespace for a call of another, as who may call the one may not call the other', async () => {
  const { run, types } = runner();
  for (const [namespace, service, method] of [
    ['acme', 'secret.Greeter', 'Greet'],
    ['acme', 'secret', 'Greeter.Greet'],
  ] as const)
    await assert.rejects(run(namespace, service, method), { code: 'unroutable' });
  assert.deepEqual(types, []);
});

it('runs a call as an event of its namespace, service and method, joined by dots', async () => {
  const { run, types } = runner();
  for (const [namespace, service, method] of [
    ['acme', 'Greeter', 'Greet'],
    ['acme', 'v1.Greeter', 'Greet'],
    ['acme', 'secret', 'Greet'],
    ['acme', 'secretive.Greeter', 'Greet'],
    ['acme.secret', 'Greeter', 'Greet'],
  ] as const)
    assert.equal(await run(namespace, service, method), null);
  assert.deepEqual(types, [
    'acme.Greeter.Greet',
    'acme.v1.Greeter.Greet',
    'acme.secret.Greet',
    'acme.secretive.Greeter.Greet',
    'acme.secret.Greeter.Greet',
  ]);
});
