import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createReadiness } from './readiness.ts';

test('a dispatcher that has not reached its broker says why, as its log does', () => {
  let reason: string | undefined = 'the broker at rabbitmq:5672 refuses user guest: is the password right?';
  let isConnected = false;
  const side = { isConnected: () => isConnected };
  const readiness = createReadiness({
    publisher: side,
    subscriber: side,
    watch: { trouble: () => undefined, whyNotConnected: () => reason },
    clock: { readiness: () => undefined } as never,
  });
  assert.equal(readiness(), `the broker has not been reached yet: ${reason}`);
  isConnected = true;
  reason = undefined;
  assert.equal(readiness(), undefined);
  // It answers 503, as any other would.
  isConnected = false;
  reason = 'no broker listens at rabbitmq:5672';
  assert.equal(readiness(), undefined);
});
