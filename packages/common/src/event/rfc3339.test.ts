import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isRfc3339 } from './rfc3339.ts';

describe('RFC 3339 times', () => {
  const times = [
    // The examples of section 5.8.
    '1985-04-12T23:20:50.52Z',
    '1996-12-19T16:39:57-08:00',
    '1990-12-31T23:59:60Z',
    '1990-12-31T15:59:60-08:00',
    '1937-01-01T12:00:27.87+00:20',
    '0000-01-01T00:00:00Z',
    '9999-12-31t23:59:59.123456789z',
    '2026-01-01T00:00:00-23:59',
    '2000-02-29T00:00:00Z',
    '2015-07-01T05:29:60+05:30',
    '2024-02-29T23:59:60.5Z',
  ];
  for (const time of times) test(`take ${time}`, () => assert.equal(isRfc3339(time), true));

  const others = [
    '',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z',
    '2026-1-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2020-02-30T00:00:00Z',
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:61Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+00:60',
    '2026-01-01T00:00:00.Z',
    `2026-01-01T00:00:00.${'0'.repeat(33)}Z`,
    '2026-01-01T00:00:00Z\n',
    // Leap seconds where there can be none.
    '2026-01-01T00:00:60Z',
    '1990-12-30T23:59:60Z',
    '1990-12-31T23:59:60-08:00',
    '1990-12-31T22:59:60Z',
    'Jan 1 2026',
  ];
  for (const time of others)
    test(`refuse ${JSON.stringify(time)}`, () => assert.equal(isRfc3339(time), false));

  test('take every day that is, and none that is not', () => {
    for (const year of [1900, 2000, 2024, 2026])
      for (let month = 0; month <= 13; month++)
        for (let day = 0; day <= 32; day++) {
          const time = `${year}-${pad(month)}-${pad(day)}T12:00:00Z`;
          const date = new Date(Date.UTC(year, month - 1, day));
          const isOne = date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
          assert.equal(isRfc3339(time), isOne, time);
        }
  });

  test('take whatever Date writes', () => {
    const dates = fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(fc.property(dates, (date) => assert.equal(isRfc3339(date.toISOString()), true)));
  });
});

function pad(number: number): string {
  return String(number).padStart(2, '0');
}
