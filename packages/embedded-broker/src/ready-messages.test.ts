import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { QueuedMessage } from './message.ts';
import { createReadyMessages } from './ready-messages.ts';

describe('ready messages', () => {
  it('come in the order of their positions, whatever comes back in between', () => {
    const steps = fc.array(fc.constantFrom('new', 'new', 'new', 'take', 'take', 'back', 'some back'), {
      maxLength: 5_000,
      size: 'max',
    });
    fc.assert(
      fc.property(steps, (names) => {
        const ready = createReadyMessages();
        const expected: number[] = [];
        const taken: QueuedMessage[] = [];
        let position = 0;
        for (const name of names) {
          if (name === 'new') {
            ready.insert({ position: ++position } as QueuedMessage);
            expected.push(position);
          } else if (name === 'take') {
            const entry = ready.shift();
            assert.equal(entry?.position, expected.shift());
            if (entry) taken.push(entry);
          } else {
            for (const entry of taken.splice(0, name === 'back' ? 1 : 5).reverse()) {
              ready.insert(entry);
              expected.push(entry.position);
            }
            expected.sort((a, b) => a - b);
          }
          assert.equal(ready.size(), expected.length);
          assert.equal(ready.first()?.position, expected[0]);
        }
        assert.deepEqual(
          ready.clear().map((entry) => entry.position),
          expected,
        );
      }),
      { numRuns: 30, seed: 1 },
    );
  });
});
