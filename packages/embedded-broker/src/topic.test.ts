import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { matchesTopic } from './topic.ts';

describe('a topic pattern', () => {
  it('takes what the plain definition takes', () => {
    const key = fc.array(fc.constantFrom('a', 'b', ''), { minLength: 1, maxLength: 6 });
    const pattern = fc.array(fc.constantFrom('a', 'b', '*', '#'), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(pattern, key, (parts, words) => {
        fc.pre(words.join('.') !== '');
        assert.equal(matchesTopic(parts.join('.'), words.join('.')), takes(parts, words));
      }),
      { numRuns: 2_000, seed: 1 },
    );
  });

  it('takes no longer for a hostile pattern', () => {
    const hostile = `${'#.a.'.repeat(30)}b`;
    assert.equal(matchesTopic(hostile, 'a.'.repeat(60).slice(0, -1)), false);
  });
});

function takes([part, ...parts]: string[], words: string[]): boolean {
  if (part === undefined) return words.length === 0;
  if (part === '#')
    return takes(parts, words) || (words.length > 0 && takes([part, ...parts], words.slice(1)));
  return words.length > 0 && (part === '*' || part === words[0]) && takes(parts, words.slice(1));
}
