import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { handleEvent } from '@waybill/listener/testing';
import { square } from './square.ts';

const MAX = 2 ** 31 - 1;
const MIN = -(2 ** 31);

describe('square', () => {
  for (const [number, result] of [
    [0, 0],
    [1, 1],
    [-7, 49],
    [46_340, 2_147_395_600],
    // Modulo 2^32, as int32 arithmetic overflows: 2,147,488,281 - 2^32.
    [46_341, -2_147_479_015],
    [65_536, 0],
    [MAX, 1],
    [MIN, 0],
  ] as const)
    it(`answers ${number} with ${result}, and the name as it was sent`, async () => {
      const { reply } = await handleEvent(square, { data: { event_name: 'Sq', number } });
      assert.equal(reply?.type, 'nimbus.result');
      assert.deepEqual(reply?.data, { event_name: 'Sq', number, result });
    });

  for (const number of [undefined, null, '3', 1.5, MAX + 1, MIN - 1])
    it(`takes ${JSON.stringify(number)} for no number`, () =>
      assert.rejects(handleEvent(square, { data: { event_name: 'sq', number } }), { code: 'invalid-data' }));
});
