import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import { createLink } from './link.ts';
import { patient, serveRequest } from './mesh.fixture.ts';
import { FAILED, failure, OK, type ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';

const answer = { status: { code: OK, message: 'OK', details: {} }, output: null, executor_id: 'b' };

/** A link whose peer does as `peer` says; `asked` counts the calls that reach it. */
function start(options?: { maxInFlight: number }) {
  const peer = {
    asked: 0,
    onServe: (): Promise<ServeResponse> => Promise.resolve(answer),
    onCheck: (): Promise<void> => Promise.resolve(),
  };
  const serve = () => {
    peer.asked += 1;
    return peer.onServe();
  };
  return { peer, link: createLink({ serve, check: () => peer.onCheck() }, options) };
}

const unknown = () => Promise.reject(new AppError('outcome-unknown', 'no answer'));
const refused = () => Promise.reject(new AppError('not-accepted', 'refused'));

test('after five failures the peer is called no more, until a health check has found it', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const { peer, link } = start();
  peer.onServe = unknown;
  for (let call = 0; call < 5; call += 1)
    await assert.rejects(link.serve(serveRequest(), patient), { code: 'outcome-unknown' });
  assert.equal(link.isClosed(), false);
  // However long ago that was.
  t.mock.timers.tick(60_000);
  await assert.rejects(link.serve(serveRequest(), patient), { code: 'not-accepted' });
  assert.equal(peer.asked, 5);
  peer.onServe = () => Promise.resolve(answer);
  peer.onCheck = refused;
  await assert.rejects(link.check(patient), { code: 'not-accepted' });
  assert.equal(link.isClosed(), false);
  peer.onCheck = () => Promise.resolve();
  t.mock.timers.tick(60_000);
  await link.check(patient);
  assert.equal(await link.serve(serveRequest(), patient), answer);
});

test('a failure that the peer answers with, or an impatient caller, does not open the breaker', async () => {
  const { peer, link } = start();
  peer.onServe = () => Promise.resolve({ ...answer, status: failure(FAILED, 'handler error: no') });
  for (let call = 0; call < 10; call += 1) await link.serve(serveRequest(), patient);
  peer.onServe = unknown;
  for (let call = 0; call < 10; call += 1)
    await assert.rejects(link.serve(serveRequest(), { deadlineMs: 5 }), { code: 'outcome-unknown' });
  const signal = AbortSignal.abort();
  for (let call = 0; call < 10; call += 1)
    await assert.rejects(link.serve(serveRequest(), { ...patient, signal }), { code: 'outcome-unknown' });
  assert.equal(link.isClosed(), true);
});

test('what says nothing of the peer as it is now does not open the breaker', async () => {
  const { peer, link } = start();
  const failTen = async (code: ErrorCode, options: CallOptions) => {
    peer.onServe = () => Promise.reject(new AppError(code, 'no'));
    for (let call = 0; call < 10; call += 1)
      await assert.rejects(link.serve(serveRequest(), options), { code });
  };
  await failTen('not-accepted', { ...patient, signal: AbortSignal.abort() });
  await failTen('not-accepted', { deadlineMs: 5 });
  // It has answered.
  await failTen('unexpected', patient);
  await failTen('too-large', patient);
  assert.equal(link.isClosed(), true);
});

test('calls that began before the peer was last heard of do not open the breaker when they end', async () => {
  const { peer, link } = start();
  const stalled = Promise.withResolvers<ServeResponse>();
  peer.onServe = () => stalled.promise;
  const waiting = Array.from({ length: 10 }, () => link.serve(serveRequest(), patient));
  await link.check(patient);
  stalled.reject(new AppError('outcome-unknown', 'no answer'));
  for (const call of waiting) await assert.rejects(call, { code: 'outcome-unknown' });
  assert.equal(link.isClosed(), true);
});

test('a health check closes the breaker whenever it is made', async () => {
  const { peer, link } = start();
  peer.onServe = refused;
  for (let call = 0; call < 5; call += 1) await assert.rejects(link.serve(serveRequest(), patient));
  peer.onCheck = refused;
  for (let check = 0; check < 5; check += 1)
    await assert.rejects(link.check(patient), { message: 'refused' });
  assert.equal(link.isClosed(), false);
  peer.onCheck = () => Promise.resolve();
  await link.check(patient);
  assert.equal(link.isClosed(), true);
});

test('a health check closes the breaker although the wall clock was set back meanwhile', async (t) => {
  const now = Date.now();
  t.mock.timers.enable({ apis: ['Date'], now });
  const { peer, link } = start();
  peer.onServe = refused;
  for (let call = 0; call < 5; call += 1) await assert.rejects(link.serve(serveRequest(), patient));
  t.mock.timers.setTime(now - 3_600_000);
  await link.check(patient);
  assert.equal(link.isClosed(), true);
});

test('more calls than may wait for a stalled peer are refused at once', async () => {
  const { peer, link } = start({ maxInFlight: 2 });
  const stalled = Promise.withResolvers<ServeResponse>();
  peer.onServe = () => stalled.promise;
  const waiting = [link.serve(serveRequest(), patient), link.serve(serveRequest(), patient)];
  assert.equal(link.inFlight(), 2);
  await assert.rejects(link.serve(serveRequest(), patient), {
    code: 'not-accepted',
    message: 'too many calls wait for it',
  });
  stalled.resolve(answer);
  assert.deepEqual(await Promise.all(waiting), [answer, answer]);
  assert.equal(link.inFlight(), 0);
  assert.equal(peer.asked, 2);
});
