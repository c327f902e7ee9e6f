import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isUri, isUriReference } from './uri.ts';

/** From RFC 3986 (sections 1.1.2 and 5.4) and the CloudEvents specification, among others. */
const URIS = [
  'ftp://ftp.is.co.za/rfc/rfc1808.txt',
  'ldap://[2001:db8::7]/c=GB?objectClass?one',
  'mailto:John.Doe@example.com',
  'news:comp.infosystems.www.servers.unix',
  'tel:+1-816-555-1212',
  'telnet://192.0.2.16:80/',
  'urn:oasis:names:specification:docbook:dtd:xml:4.1.2',
  'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
  'https://user:pw@example.com:8080/a%20b;p?q=1&r=/?#f/?',
  'http://[v1.a:b]/',
  'file:///etc/hosts',
  'x:',
  'a:b://c',
];
const RELATIVE = [
  '/cloudevents/spec/pull/123',
  'a',
  'a/b:c',
  '../a:b',
  '..',
  '//g',
  '?y',
  '#s',
  'g;x=1/./y',
  '/a//b',
  '%41',
];
const NEITHER = [
  'a b',
  'é',
  '/a\\b',
  '/a"b',
  '<a>',
  '/{id}',
  '/a^b',
  '/a|b',
  '/a`b',
  '/%zz',
  '/%4',
  '/a#b#c',
  '1a:b',
  ':a',
  '/[a]',
  'http://[::1',
  'http://[g]/',
  'http://a:b:c/',
  'http://a@b@c/',
];

describe('URIs', () => {
  for (const text of URIS)
    test(`take ${text}`, () => assert.deepEqual([isUri(text), isUriReference(text)], [true, true]));
  for (const text of RELATIVE)
    test(`as references take ${text} as well`, () =>
      assert.deepEqual([isUri(text), isUriReference(text)], [false, true]));
  for (const text of NEITHER)
    test(`take ${text} in no way`, () =>
      assert.deepEqual([isUri(text), isUriReference(text)], [false, false]));

  test('take what WHATWG URLs serialise to, but for the characters that RFC 3986 has not', () => {
    const urls = fc.webUrl({ withQueryParameters: true, withFragments: true });
    fc.assert(fc.property(urls, (url) => assert.equal(isUri(url), true)));
  });

  test('are told apart in a time that grows with their length alone', () => {
    for (const part of ['a', '%41', '//', ':', '@', 'a@', '[', '.', '?', '//a:', '//:@'])
      for (const end of ['', ' ', '#', '##', '[']) {
        const startedMs = performance.now();
        isUriReference(`${part.repeat(20_000)}${end}`);
        assert.ok(performance.now() - startedMs < 5_000, part);
      }
  });
});
