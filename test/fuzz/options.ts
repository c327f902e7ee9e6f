/**
 * How a fuzz runs: bounded, and each time with another seed, which a failure names.
 *
 *     FUZZ_SEED=-123 npm test -- test/fuzz/http.test.ts     the same cases again
 *     FUZZ_TIMES=20 npm test -- test/fuzz/http.test.ts      more of them
 */
import type { Parameters } from 'fast-check';

/**
 * Options for `fc.assert` of a property that calls processes: `numRuns` cases. The first that fails ends it and is not
 * made smaller, which would take minutes: the property's own error is to show what it was.
 */
export function fuzz<Case>({ numRuns }: { numRuns: number }): Parameters<Case> {
  const { FUZZ_SEED, FUZZ_TIMES = '1' } = process.env;
  return {
    numRuns: numRuns * Number(FUZZ_TIMES),
    endOnFailure: true,
    // fast-check's own prints every byte of a case.
    reporter({ failed, seed, errorInstance }) {
      if (failed) throw new Error(`FUZZ_SEED=${seed} makes it again`, { cause: errorInstance });
    },
    ...(FUZZ_SEED === undefined ? {} : { seed: Number(FUZZ_SEED) }),
  };
}
