/** Properties of the headers that a stranger writes: whatever they hold, they mean something sensible or are refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import fc from 'fast-check';
import { shownKey } from '../../admission/admission.ts';
import { parseIdempotencyKey } from './idempotency-key.ts';
import { preferredDeadlineMs } from './prefer.ts';

const DEADLINE_MS = 30_000;

/** Header text of Latin-1, which is how Node hands it over, up to 16 kB and often repetitive. */
const latin1 = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const part = fc.oneof(
  latin1,
  fc.constantFrom('wait', '=', ' ', ',', ';', '"', '\\', '\\"', '0', '9', 'wait=1', 'bearer ', 'k'),
);
const text = fc
  .tuple(fc.array(part, { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 16_384 }))
  .map(([parts, length]) => parts.join('').repeat(length).slice(0, length));
const header = fc.oneof(
  text,
  fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
);

test('any Prefer header leaves a wait of more than nothing and at most the deadline', () => {
  fc.assert(
    fc.property(fc.oneof(header, fc.array(header, { maxLength: 3 })), (prefer) => {
      const waitMs = preferredDeadlineMs(prefer, DEADLINE_MS);
      assert(waitMs > 0 && waitMs <= DEADLINE_MS, `${waitMs} ms`);
    }),
    { numRuns: 1_000 },
  );
});

test('any whole number of seconds is preferred, between whatever other preferences', () => {
  const other = fc.stringMatching(/^[a-v]{1,9}(=\d{1,3})?$/).filter((name) => !name.startsWith('wait'));
  const others = fc.array(other, { maxLength: 3 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999 }), others, others, (seconds, before, after) => {
      const prefer = [...before, `wait=${seconds}`, ...after].join(', ');
      assert.equal(preferredDeadlineMs(prefer, DEADLINE_MS), Math.min(seconds * 1_000, DEADLINE_MS));
    }),
  );
});

test('any Idempotency-Key header is a key of 1 to 255 printable characters, or is refused with 400', () => {
  fc.assert(
    fc.property(fc.oneof(header, fc.array(header, { maxLength: 3 })), (value) => {
      try {
        assert.match(parseIdempotencyKey(value), /^[ -~]{1,255}$/);
      } catch (error) {
        assert(error instanceof AppError && error.status === 400, error as Error);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('any key of printable ASCII is read as it was quoted', () => {
  const key = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  });
  fc.assert(
    fc.property(key, (key) => {
      fc.pre(key !== '');
      assert.equal(parseIdempotencyKey(`"${key.replace(/["\\]/g, '\\$&')}"`), key);
    }),
  );
});

test('any authorization shows a key without spaces or none, and no key is shown by an empty header', () => {
  const value = fc.oneof(header, fc.constant(undefined), fc.array(header, { maxLength: 2 }));
  fc.assert(
    fc.property(value, value, (authorization, apiKey) => {
      const shown = shownKey(authorization, apiKey);
      assert.notEqual(shown, '');
      if (shown !== undefined && shown !== apiKey) {
        assert(typeof authorization === 'string' && authorization.includes(shown));
        assert.match(shown, /^\S+$/);
      }
    }),
    { numRuns: 1_000 },
  );
});
