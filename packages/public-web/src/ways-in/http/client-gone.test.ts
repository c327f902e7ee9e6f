import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { it } from 'node:test';
import type { FastifyReply } from 'fastify';
import { clientGone } from './client-gone.ts';

/** A response in the state given, of a request without a key, and how often its waits were given up and it was closed. */
function start(state: { destroyed?: boolean; closed?: boolean; writableFinished?: boolean } = {}) {
  const raw = Object.assign(new EventEmitter(), state);
  const told = { gone: 0, closed: 0 };
  const onGone = clientGone({ raw, request: { headers: {} } } as unknown as FastifyReply, () => {
    told.closed += 1;
  });
  const wait = () =>
    onGone(() => {
      told.gone += 1;
    });
  return { raw, told, wait };
}

it('a connection that closes before the answer is out ends every wait for it', () => {
  const { raw, told, wait } = start();
  wait();
  wait();
  raw.emit('close');
  assert.deepEqual(told, { gone: 2, closed: 1 });
});

it('an answer that is out ends no wait', () => {
  const { raw, told, wait } = start({ writableFinished: true });
  wait();
  raw.emit('close');
  assert.deepEqual(told, { gone: 0, closed: 1 });
});

it('a client that went before is told of at once', () => {
  const { told, wait } = start({ destroyed: true, closed: true });
  wait();
  assert.deepEqual(told, { gone: 1, closed: 1 });
});
