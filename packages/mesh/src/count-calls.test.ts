import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { meshBreakerOpen, meshCallDuration, meshCalls } from '@waybill/common/telemetry/metrics.ts';
import { counted } from './count-calls.ts';
import { createNetwork, dispatch, serveRequest } from './mesh.fixture.ts';
import { FAILED, failure, NOT_FOUND, OK } from './messages.ts';

type ObservableCallback = Parameters<typeof meshBreakerOpen.addCallback>[0];

const answer = (code: number) =>
  Promise.resolve({ status: failure(code, ''), output: null, executor_id: 'b' });

test('a call is counted and measured by its peer, and by what became of it', async (t) => {
  const calls = t.mock.method(meshCalls, 'add');
  const durations = t.mock.method(meshCallDuration, 'record');
  const lost = Promise.reject(new AppError('outcome-unknown', 'no answer'));
  const responses = [...[OK, NOT_FOUND, 400, FAILED, 299].map(answer), lost];
  for (const response of responses)
    await counted(response, serveRequest(), { name: 'b', connection: undefined }).catch(() => {});
  const outcomes = ['answered', 'not-found', 'refused', 'failed', 'failed', 'outcome-unknown'];
  assert.deepEqual(
    calls.mock.calls.map((call) => call.arguments),
    outcomes.map((outcome) => [1, { peer: 'b', outcome }]),
  );
  assert.deepEqual(
    durations.mock.calls.map((call) => call.arguments[1]),
    outcomes.map((outcome) => ({ peer: 'b', outcome })),
  );
});

test('a peer is named by the id that is known for it, and else by its address, whatever it says', async (t) => {
  const calls = t.mock.method(meshCalls, 'add');
  const network = createNetwork();
  const ids: Record<string, string> = { 'b:1': 'b' };
  const a = network.add('a', { peerAt: (address) => ({ id: ids[address] }) });
  for (const id of ['b', 'c']) {
    await a.connectTo(`${id}:1`).catch(() => {});
    network.add(id).registerService('shared', 'Greeter', 'Greet', () => null);
    await a.connectTo(`${id}:1`);
    await dispatch(a, { target_collector_id: id });
  }
  const names = calls.mock.calls.map((call) => call.arguments[1]?.peer);
  assert.deepEqual(names, ['b', 'c:1']);
  await network.close();
});

test('calls that wait, connection and breaker of a peer can be seen, and of a site that is closed nothing', async (t) => {
  // Without an SDK all gauges are one.
  const added: ObservableCallback[] = [];
  t.mock.method(meshBreakerOpen, 'addCallback', (callback: ObservableCallback) => added.push(callback));
  const removed = t.mock.method(meshBreakerOpen, 'removeCallback');
  const network = createNetwork();
  const a = network.add('a', { checkMs: 60_000 });
  const observers = [...added];
  network.add('b', { checkMs: 60_000 }).registerService('shared', 'Greeter', 'Greet', () => null);
  await a.connectTo('b:1');
  function observed(): unknown[] {
    const values: unknown[] = [];
    const observe = (value: number, { peer }: { peer: string }) => values.push([peer, value]);
    for (const callback of observers) callback({ observe } as unknown as Parameters<ObservableCallback>[0]);
    return values;
  }
  assert.deepEqual(observed(), [
    ['b:1', 0],
    ['b:1', 1],
    ['b:1', 0],
  ]);
  network.setFault('a', 'b', 'lose-answer');
  for (let call = 0; call < 5; call += 1) await dispatch(a, { target_collector_id: 'b' });
  assert.deepEqual(observed().at(-1), ['b:1', 1]);
  await network.close();
  assert.deepEqual(
    removed.mock.calls.map((call) => call.arguments[0]),
    added,
  );
});
