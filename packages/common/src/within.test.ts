import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { within } from './within.ts';

function useMockTimers({ mock }: TestContext) {
  mock.timers.enable({ apis: ['setTimeout'] });
  return mock.timers;
}

test('resolves true when the promise is in time', async (t) => {
  const timers = useMockTimers(t);
  const { promise, resolve } = Promise.withResolvers<string>();
  const inTime = within(100, promise);
  timers.tick(99);
  resolve('x');
  assert.equal(await inTime, true);
});

test('resolves false at the deadline', async (t) => {
  const timers = useMockTimers(t);
  const inTime = within(100, new Promise(() => {}));
  timers.tick(100);
  assert.equal(await inTime, false);
});

test('does not wait when the deadline is over, and says nothing of it on the terminal', async (t) => {
  const warned = t.mock.method(process, 'emitWarning', () => {});
  assert.equal(await within(-1, new Promise(() => {})), false);
  assert.equal(warned.mock.callCount(), 0);
});

test('rejects as the promise does when that is in time', async () => {
  await assert.rejects(within(60_000, Promise.reject(new Error('no luck'))), /no luck/);
});

test('leaves no timer behind that would keep the process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
  const before = timers();
  await within(60_000, Promise.resolve());
  await assert.rejects(within(60_000, Promise.reject(new Error('no luck'))));
  assert.equal(timers(), before);
});

test('a promise that rejects after the deadline goes unnoticed', async (t) => {
  const timers = useMockTimers(t);
  const { promise, reject } = Promise.withResolvers<void>();
  const inTime = within(100, promise);
  timers.tick(100);
  assert.equal(await inTime, false);
  reject(new Error('unhandled, this would fail the test'));
  await new Promise(setImmediate);
});
