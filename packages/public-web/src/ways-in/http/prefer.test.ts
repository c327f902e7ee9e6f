import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { preferredDeadlineMs } from './prefer.ts';

describe('Prefer: wait', () => {
  const shortened = [
    'wait=2',
    'Wait=2',
    'respond-async, wait=2',
    'wait=2; x=y',
    'wait="2"',
    'foo;x="\\", wait=1", wait = 2',
    'foo, bar=, ;;, wait=2',
    'wait=2, wait=1',
    'foo="a;b,c"; bar, wait=2;foo',
  ];
  for (const prefer of shortened)
    it(`shortens the deadline: ${prefer}`, () => assert.equal(preferredDeadlineMs(prefer, 30_000), 2_000));

  it('takes several headers', () => assert.equal(preferredDeadlineMs(['a=b', 'wait=2'], 30_000), 2_000));

  it('never lengthens the deadline', () => assert.equal(preferredDeadlineMs('wait=31', 30_000), 30_000));

  const senseless = [
    undefined,
    '',
    'wait',
    'wait=',
    'wait=0',
    'wait=-1',
    'wait=1.5',
    'wait=1e1',
    'await=2',
    'wait=2s',
    'foo;wait=2',
    'foo; bar; wait=2',
    'foo="a, wait=2"',
    'foo="a, wait=2',
    'foo; bar="\\", wait=2"',
    'wait=, wait=2',
    'foo wait=2',
  ];
  for (const prefer of senseless)
    it(`is ignored when it makes no sense: ${prefer}`, () =>
      assert.equal(preferredDeadlineMs(prefer, 30_000), 30_000));
});
