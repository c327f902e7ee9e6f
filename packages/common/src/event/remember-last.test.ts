import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberLast } from './remember-last.ts';

test('what was asked last is not computed again, and anything else is', () => {
  const computed: (string | undefined)[] = [];
  const lengthOf = rememberLast((text: string | undefined) => {
    computed.push(text);
    return text?.length;
  });
  const asked = [undefined, undefined, 'ab', 'ab', '', 'ab', undefined];
  assert.deepEqual(asked.map(lengthOf), [undefined, undefined, 2, 2, 0, 2, undefined]);
  assert.deepEqual(computed, [undefined, 'ab', '', 'ab', undefined]);
});

test('what could not be computed is tried again', () => {
  const parse = rememberLast((text: string) => JSON.parse(text));
  assert.equal(parse('1'), 1);
  for (let i = 0; i < 2; i++) assert.throws(() => parse('{'), SyntaxError);
  assert.equal(parse('1'), 1);
});
