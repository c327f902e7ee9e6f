/**
 * What every stream of batches promises: indices from 0 without a gap, first occurrences in order, a repeated batch with
 * the same bytes, data in each batch, one last batch and nothing new after it.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 up.
 */
import { createHash } from 'node:crypto';
import { UserError } from './user-error.mjs';

/** @typedef {{ index: unknown, data: unknown, isLast: unknown }} ReceivedBatch `data` in base64 */

/** @typedef {{ digest: string, isLast: boolean }} SeenBatch */

/** Checks one stream, batch by batch. */
export function createBatchChecker() {
  /** @type {SeenBatch[]} */
  const seen = [];
  return {
    /** Whether the last batch has come, and so all of them. */
    isComplete: () => seen.at(-1)?.isLast ?? false,
    /** How many have come. */
    count: () => seen.length,
    /**
     * @param {ReceivedBatch} batch
     * @returns {{ bytes: number, isRepeated: boolean }}
     * @throws {UserError} names the batch and what is wrong with it
     */
    take(batch) {
      const index = toIndex(batch.index);
      const data = decode(index, batch.data);
      if (typeof batch.isLast !== 'boolean')
        throw new UserError(`batch ${index} does not say whether it is the last one`);
      const current = { digest: createHash('sha256').update(data).digest('base64'), isLast: batch.isLast };
      const before = seen[index];
      if (before) expectSame(index, before, current);
      else expectNext(index, seen);
      if (!before) seen.push(current);
      return { bytes: data.length, isRepeated: before !== undefined };
    },
  };
}

/** @param {unknown} index */
function toIndex(index) {
  if (typeof index === 'number' && Number.isInteger(index) && index >= 0) return index;
  throw new UserError(`a batch has the index ${JSON.stringify(index)}, which is no whole number from 0 up`);
}

/**
 * @param {number} index
 * @param {unknown} text
 */
function decode(index, text) {
  if (typeof text !== 'string' || text === '') throw new UserError(`batch ${index} carries no data`);
  const data = Buffer.from(text, 'base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  // What is not base64 is left out by the decoder.
  if (data.length !== (text.length / 4) * 3 - padding)
    throw new UserError(`the data of batch ${index} is not base64`);
  return data;
}

/**
 * @param {number} index
 * @param {SeenBatch} before
 * @param {SeenBatch} current
 */
function expectSame(index, before, current) {
  if (before.digest !== current.digest) throw new UserError(`batch ${index} came again with other bytes`);
  if (before.isLast !== current.isLast)
    throw new UserError(
      `batch ${index} was ${before.isLast ? '' : 'not '}the last one when it came first, and came again otherwise`,
    );
}

/**
 * @param {number} index
 * @param {SeenBatch[]} seen
 */
function expectNext(index, seen) {
  if (seen.at(-1)?.isLast) throw new UserError(`batch ${index} came after the last one, ${seen.length - 1}`);
  if (index !== seen.length) throw new UserError(`batch ${index} came when batch ${seen.length} was due`);
}
