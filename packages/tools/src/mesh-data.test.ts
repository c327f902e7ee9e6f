import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { asDeclared } from './mesh-data.ts';

const PROTO = `syntax = "proto3";
package acme;
enum Tone { LOW = 0; HIGH = 1; }
message Song {
  string text = 1;
  int32 verses = 2;
  float tempo = 3;
  int64 id = 4;
  Tone tone = 5;
  bytes tape = 6;
  Song next = 7;
  repeated string words = 8;
  map<string, int32> counts = 9;
}
service Singer { rpc Sing(Song) returns (Song); }
`;

describe('the input of a call that a .proto file declares', () => {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-mesh-data-'));
  after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'acme.proto');
  writeFileSync(path, PROTO);
  const { toInput, toText } = asDeclared(path, 'acme.Singer', 'Sing');

  it('is its fields as JSON, and so is the output', () => {
    const song = {
      text: 'ahoy',
      verses: 3,
      tempo: 0.5,
      id: '9007199254740993',
      tone: 'HIGH',
      tape: 'AP8=',
      next: { text: 'again' },
      words: ['a', 'hoy'],
      counts: { a: 1 },
    };
    const input = toInput(JSON.stringify(song)) ?? assert.fail();
    assert.equal(input.type_url, 'type.googleapis.com/acme.Song');
    const written = JSON.parse(toText(input));
    assert.deepEqual({ ...written, next: { text: written.next.text } }, song);
  });

  it('may be without any', () => assert.equal(toInput(undefined)?.value.length, 0));

  for (const data of ['{"tone":1}', '{"tempo":0.1}', '{"tape":"AP8"}', '{"next":null}', '{"id":5}'])
    it(`may be ${data}`, () => assert.ok(toInput(data)));

  for (const [data, message] of [
    ['ahoy', '--data must be a JSON object of the fields of the input, as there is a --proto'],
    ['["ahoy"]', '--data must be a JSON object of the fields of the input, as there is a --proto'],
    ['{"txet":"ahoy"}', '--data: acme.Song has no field txet'],
    ['{"next":{"txet":"ahoy"}}', '--data: acme.Song.next has no field txet'],
    ['{"text":{"no":"text"}}', '--data: acme.Song.text cannot be {"no":"text"}'],
    ['{"verses":"three"}', '--data: acme.Song.verses cannot be "three"'],
    ['{"verses":1e99}', '--data: acme.Song.verses cannot be 1e+99'],
    ['{"tone":"MIDDLE"}', '--data: acme.Song.tone cannot be "MIDDLE"'],
    ['{"words":"ahoy"}', '--data: acme.Song.words: array expected'],
  ] as const)
    it(`is refused where it is ${data}`, () => assert.throws(() => toInput(data), { message }));
});
