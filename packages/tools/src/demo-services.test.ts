import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertStopped, createOutputKeeper } from './demo-services.ts';

test('a service that does not end as it was told to is named, with what it said last', () => {
  const output = createOutputKeeper();
  output.keep('paris/public-web', 'shutdown took too long');
  output.keep('rome/public-web', 'stopping');
  const paris = { name: 'paris/public-web', how: 'ended with exit code 1', isClean: false };
  const rome = { name: 'rome/public-web', how: 'ended with exit code 0', isClean: true };
  assertStopped([rome], output);
  assert.throws(() => assertStopped([paris, rome], output), {
    message: [
      'the demo failed while stopping:',
      'paris/public-web ended with exit code 1; it said last:',
      '  shutdown took too long',
    ].join('\n'),
  });
});
