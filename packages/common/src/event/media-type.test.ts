import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { charsetOf, isJsonType, isMediaType, mediaType } from './media-type.ts';

describe('media types', () => {
  const types = [
    'text/plain',
    'a/b+json',
    'image/svg+xml; charset="utf-8"; a=b',
    'a/b ;c=d',
    'a/b;',
    'a/b ; ; c="\\"; x"',
  ];
  for (const text of types) test(`are such: ${text}`, () => assert.equal(isMediaType(text), true));

  const others = [
    '',
    'json',
    '/',
    'a/',
    '/b',
    'a/b/c',
    'a b/c',
    'ä/b',
    'a/b; c',
    'a/b; c=',
    'a/b; c = d',
    'a/b; c="',
    'a/b; c="€"',
    'a/b, c/d',
    'a/b\n',
  ];
  for (const text of others)
    test(`are not: ${JSON.stringify(text)}`, () => assert.equal(isMediaType(text), false));

  test('without parameters, space and case are what they are', () => {
    assert.equal(mediaType(' Text/Plain ; charset="a;b"'), 'text/plain');
    assert.equal(mediaType(undefined), '');
  });

  test('are told apart in a time that grows with their length alone', () => {
    for (const part of [';', '; ', ' ', ' ;', ';a=b ', ';a="', ';a="\\'])
      for (const end of ['', '"', '€']) {
        const startedMs = performance.now();
        isMediaType(`a/b${part.repeat(20_000)}${end}`);
        assert.ok(performance.now() - startedMs < 5_000, part);
      }
  });

  test('that are JSON are told', () => {
    for (const type of ['application/json', 'Text/JSON; a=b', 'a/b.c+d+json'])
      assert.equal(isJsonType(type), true);
    for (const type of ['text/plain', 'application/json-seq', 'application/jsonx', 'a/b; c=d/json'])
      assert.equal(isJsonType(type), false);
  });
});

describe('the charset', () => {
  const charsets: Record<string, string | undefined> = {
    'a/b': undefined,
    'a/b; charset=UTF-8': 'utf-8',
    'a/b;a=b;Charset="ISO-8859-1"': 'iso-8859-1',
    'a/b; charset="utf\\-8"': 'utf-8',
    'a/b; x="; charset=latin1"': undefined,
    'a/b; x="\\"; charset=latin1"; charset=utf-8': 'utf-8',
    'a/b; xcharset=latin1': undefined,
    'a/b; charset=utf-8; charset=latin1': 'utf-8',
  };
  for (const [text, charset] of Object.entries(charsets))
    test(`of ${text} is ${charset}`, () => assert.equal(charsetOf(text), charset));
});
