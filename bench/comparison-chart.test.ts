import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { comparisonChart } from './comparison-chart.ts';
import { makeSummary } from './summary.fixture.ts';

describe('the picture of a comparison', () => {
  it('has a line for each system and figure, with a point for each number of connections', () => {
    const svg = comparisonChart(
      ['echo', 'waybill'].flatMap((system) =>
        [1, 64, 256].map((connections) => makeSummary({ system, connections, requestsPerS: connections })),
      ),
      'title',
    );
    const lines = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(([, points = '']) =>
      points.split(' '),
    );
    assert.deepEqual(
      lines.map((points) => points.length),
      [3, 3, 3, 3],
    );
    assert.doesNotMatch(svg, /NaN|Infinity/);
  });

  it('draws equal factors as equal lengths', () => {
    const svg = comparisonChart(
      [1, 10, 100].map((connections) => makeSummary({ connections, requestsPerS: connections })),
      '',
    );
    const [[, points = ''] = []] = [...svg.matchAll(/<polyline points="([^"]*)"/g)];
    const [a, b, c] = points.split(' ').map((point) => point.split(',').map(Number)) as [number, number][];
    assert.ok(a && b && c);
    for (const axis of [0, 1] as const) assert.ok(Math.abs(c[axis] - b[axis] - (b[axis] - a[axis])) < 0.2);
    assert.ok(c[1] < a[1], 'more is higher');
  });

  it('can be drawn of one point, and leaves out what answered nothing', () => {
    const svg = comparisonChart([makeSummary({ requestsPerS: 0 })], 'one');
    assert.equal(svg.match(/<circle/g)?.length, 1);
    assert.doesNotMatch(svg, /NaN|Infinity/);
  });

  it('shows what a title holds as text', () => {
    assert.match(comparisonChart([makeSummary({})], 'a < b & c'), />a &lt; b &amp; c</);
  });
});
