import assert from 'node:assert/strict';
import { it } from 'node:test';
import { readOptions } from './options.ts';

const namesOf = (args: string[]) => readOptions(args).systems.map(({ name }) => name);

it('measures Waybill whatever peers are chosen, and last', () => {
  assert.equal(namesOf([]).at(-1), 'waybill');
  assert.deepEqual(namesOf(['--peers', 'nestjs,echo']), ['echo', 'nestjs', 'waybill']);
  assert.deepEqual(namesOf(['--peers=']), ['waybill']);
});

it('refuses a peer that does not exist, and what is not a count', () => {
  assert.throws(() => readOptions(['--peers', 'nest']), /no nest among echo, /);
  assert.throws(() => readOptions(['--connections', '1,x']), /--connections: x is not a count/);
  for (const option of ['--seconds', '--rounds'])
    assert.throws(() => readOptions([option, '0']), /0 is not a count/);
});
