/** Events for the tests of the codecs: any valid one, and a plain one to spoil. */
import fc from 'fast-check';
import type { CloudEvent } from './event.ts';

/** The least an event has. */
export const minimal = { specversion: '1.0', id: 'e-1', source: '/test', type: 'Test' } as const;

/** Every character an attribute may have, those that HTTP headers must escape above all. */
const character = fc.oneof(
  fc.constantFrom(' ', '"', '%', '\\', '%2', '%20', 'é', '€', '😀', '\u00a0', '\ufeff'),
  fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCodePoint(code)),
  fc
    .integer({ min: 0xa0, max: 0x10ffff })
    .filter((code) => code < 0xd800 || (code > 0xdfff && code < 0xfdd0) || code > 0xfdef)
    .filter((code) => (code & 0xfffe) !== 0xfffe)
    .map((code) => String.fromCodePoint(code)),
);
const text = (minLength: number) => fc.string({ unit: character, minLength, maxLength: 30 });
const uri = fc.oneof(
  fc.webUrl({ withQueryParameters: true, withFragments: true }),
  fc.constantFrom('urn:uuid:8e03978e-40d5-43dd-bc93-6894a57f9324', 'mailto:a@b.example', "x:%25!$&'()*+,;="),
);
const uriReference = fc.oneof(uri, fc.constantFrom('/a', 'a/b:c', '//[::1]:80/', '?a=b:c', '#a'));
const timestamp = fc
  .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
  .map((date) => date.toISOString());

/** Names beside those the specification and Waybill use. */
const extensionName = fc
  .stringMatching(/^[a-z0-9]{1,12}$/)
  .filter((name) => name !== 'constructor')
  .map((name) => `x${name}`);
const extensionValue = fc.oneof(text(0), fc.boolean(), fc.integer());

const json = fc
  .jsonValue({ maxDepth: 3, stringUnit: 'grapheme' })
  .map((value) => JSON.stringify(value))
  .filter((value) => !/"(__proto__|constructor)"/.test(value))
  .map((value) => JSON.parse(value) as unknown);
const jsonTypes = ['application/json', 'application/json; charset=UTF-8', 'application/vnd.a.b+c+json'];
const data = fc.oneof(
  fc.constant({}),
  fc.record({ data: json }),
  fc.record({ data: json, datacontenttype: fc.constantFrom(...jsonTypes) }),
  fc.record({ data: text(0), datacontenttype: fc.constantFrom('text/plain', 'application/xml; a="b"') }),
  fc.record({
    data_base64: fc.uint8Array().map((bytes) => Buffer.from(bytes).toString('base64')),
    datacontenttype: fc.option(fc.constantFrom('image/png', 'text/plain; charset=iso-8859-1'), {
      nil: undefined,
    }),
  }),
  fc.record({ datacontenttype: fc.constantFrom('text/plain', ...jsonTypes) }),
);

/** Any event that a client may send. */
export const anyEvent: fc.Arbitrary<CloudEvent> = fc
  .tuple(
    fc.record(
      {
        specversion: fc.constant('1.0'),
        id: text(1),
        source: uriReference,
        type: fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/),
        time: timestamp,
        subject: text(1),
        dataschema: uri,
      },
      { requiredKeys: ['specversion', 'id', 'source', 'type'] },
    ),
    data,
    fc.dictionary(extensionName, extensionValue, { maxKeys: 5, noNullPrototype: true }),
  )
  .map(([attributes, payload, extensions]) =>
    withoutUndefined({ ...extensions, ...attributes, ...payload } as CloudEvent),
  );

/** A value that is `depth` arrays deep. */
export function nested(depth: number): unknown {
  return JSON.parse('['.repeat(depth) + ']'.repeat(depth));
}

function withoutUndefined(event: CloudEvent): CloudEvent {
  return Object.fromEntries(Object.entries(event).filter(([, value]) => value !== undefined)) as CloudEvent;
}
