import assert from 'node:assert/strict';
import { it } from 'node:test';
import { comparisonTable } from './comparison-table.ts';
import { makeSummary } from './summary.fixture.ts';
import { toTable } from './table.ts';

it('a table is as wide as its widest cells, numbers to the right', () => {
  assert.equal(
    toTable(
      ['system', 'ms'],
      [
        ['a', '1,000'],
        ['longer name', '2'],
      ],
    ),
    [
      '| system      |    ms |',
      '| ----------- | ----: |',
      '| a           | 1,000 |',
      '| longer name |     2 |',
    ].join('\n'),
  );
});

it('a row of the comparison has the CPU of all processes and of the broker', () => {
  const table = comparisonTable([
    makeSummary({ cpuUs: { 'public-web': 200, listener: 50 }, ownCpuUs: 250, brokerCpuUs: 100 }),
  ]);
  const [, , row = ''] = table.split('\n');
  const cells = row.split('|').map((cell) => cell.trim());
  assert.deepEqual(cells.slice(8, 11), ['350', '250', '100']);
  assert.equal(cells.at(-2), 'public-web 200, listener 50');
});

it('a system that could not be compared with Waybill has no ratio', () => {
  assert.match(comparisonTable([makeSummary({ waybillRatio: undefined })]), / – /);
});
