import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toAnswers } from './read-answers.ts';

const bucket = (labels: string, value: number, tier = 'public-web') =>
  `waybill_event_duration_seconds_bucket{tier="${tier}",${labels}} ${value}\n`;

test('outcomes are counted over all instances, and half and 99 of 100 are within the bound of a bucket', () => {
  const instance = (name: string, within: number) =>
    [
      bucket(`type="Ping",outcome="answered",instance="${name}",le="0.005"`, within),
      bucket(`type="Ping",outcome="answered",instance="${name}",le="0.25"`, 50),
      bucket(`type="Ping",outcome="answered",instance="${name}",le="+Inf"`, 50),
    ].join('');
  const metrics = [
    '# TYPE waybill_event_duration_seconds histogram\n',
    instance('1', 50),
    instance('2', 45),
    bucket('type="Slow",outcome="outcome-unknown",le="30"', 0),
    bucket('type="Slow",outcome="outcome-unknown",le="+Inf"', 1),
    bucket('type="Ping",outcome="confirmed",le="+Inf"', 7, 'dispatcher'),
    'waybill_event_duration_seconds_count{tier="public-web",type="Ping"} 50\n',
  ].join('');
  assert.deepEqual(toAnswers(metrics), [
    { type: 'Ping', outcomes: { answered: 100 }, halfWithinMs: 5, mostWithinMs: 250 },
    { type: 'Slow', outcomes: { 'outcome-unknown': 1 }, halfWithinMs: undefined, mostWithinMs: undefined },
  ]);
});

test('a type is read as it is, whatever stands in it, and names without a unit as well', () => {
  const line = String.raw`waybill_event_duration_bucket{type="a\"b\\c,le=\"1",tier="public-web",outcome="answered",le="+Inf"} 2`;
  assert.deepEqual(toAnswers(line), [
    {
      type: String.raw`a"b\c,le="1`,
      outcomes: { answered: 2 },
      halfWithinMs: undefined,
      mostWithinMs: undefined,
    },
  ]);
});
