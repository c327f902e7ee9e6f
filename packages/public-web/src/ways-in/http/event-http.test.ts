import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, validateHeaderName, validateHeaderValue } from 'node:http';
import { describe, test } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import fc from 'fast-check';
import { anyEvent, minimal, nested } from '../../../../common/src/event/event.fixture.ts';
import {
  type DecodedRequest,
  decodeRequest,
  type EncodedResponse,
  encodeBatchResponse,
  encodeResponse,
} from './event-http.ts';

const BINARY = { 'ce-specversion': '1.0', 'ce-id': 'e-1', 'ce-source': '/test', 'ce-type': 'Test' };

function decode(headers: IncomingHttpHeaders, body: string | Buffer = ''): DecodedRequest {
  return decodeRequest({ headers, body: Buffer.from(body as string) }, '/default');
}

/** The one event of a request. */
function decodeOne(headers: IncomingHttpHeaders, body?: string | Buffer): CloudEvent {
  const { events } = decode(headers, body);
  assert.equal(events.length, 1);
  return events[0] as CloudEvent;
}

function structured(event: unknown): CloudEvent {
  return decodeOne({ 'content-type': 'application/cloudevents+json' }, JSON.stringify(event));
}

function resend({ headers, body }: EncodedResponse): DecodedRequest {
  return decode(headers, body);
}

function assertRefused(run: () => unknown, message: RegExp, code = 'invalid-request'): void {
  assert.throws(run, { name: 'AppError', code, message });
}

describe('structured mode', () => {
  test('any event survives, and names the event that it answers', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const events: [CloudEvent] = [{ ...event, requestid: 'asked' }];
        assert.deepEqual(resend(encodeResponse('structured', event, 'asked')), {
          mode: 'structured',
          events,
        });
      }),
    );
  });

  test('wins over ce- headers, which it may bring as well (section 3.2.3)', () => {
    const headers = { ...BINARY, 'content-type': 'application/cloudevents+json; charset=utf-8' };
    assert.deepEqual(decode(headers, JSON.stringify({ ...minimal, id: 'e-2' })), {
      mode: 'structured',
      events: [{ ...minimal, id: 'e-2' }],
    });
  });

  test('keeps a string of JSON text as a string (JSON format, section 3.1.2)', () => {
    const event = { ...minimal, datacontenttype: 'application/json', data: '{"a":1}' };
    assert.deepEqual(structured(event), event);
  });
});

describe('batched mode', () => {
  test('any events survive, in order', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
        assert.deepEqual(resend(encodeBatchResponse(events)), { mode: 'batched', events });
      }),
    );
  });

  test('an event at fault stands as its error between its neighbours', () => {
    const batch = [minimal, { ...minimal, id: '' }, null, { ...minimal, id: 'e-2' }];
    const { events } = decode(
      { 'content-type': 'application/cloudevents-batch+json' },
      JSON.stringify(batch),
    );
    assert.deepEqual([events[0], events[3]], [minimal, { ...minimal, id: 'e-2' }]);
    for (const error of [events[1], events[2]])
      assert.equal(error instanceof AppError && error.code, 'invalid-request');
  });

  test('is counted before any of its events is looked at, and may be refused then', () => {
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    const body = Buffer.from(JSON.stringify(Array(131_071).fill(0)));
    const refuse = (count: number) => {
      throw new AppError('too-large', `it has ${count}`);
    };
    assertRefused(() => decodeRequest({ headers, body }, '/', refuse), /^it has 131071$/, 'too-large');
  });

  test('refuses what is no array', () => {
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    assertRefused(() => decode(headers, JSON.stringify(minimal)), /JSON array/);
  });
});

describe('binary mode', () => {
  test('any event survives, and names the event that it answers: attributes as strings, data as its bytes', () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const { headers, body } = encodeResponse('binary', event, 'asked for 1 €');
        for (const [name, value] of Object.entries(headers)) {
          validateHeaderName(name);
          validateHeaderValue(name, value);
          if (name !== 'content-type') assert.match(value, /^[\x21\x23-\x7e]*$/);
        }
        const events: [CloudEvent] = [{ ...asReadFromBinary(event), requestid: 'asked for 1 €' }];
        assert.deepEqual(resend({ headers, body }), { mode: 'binary', events });
      }),
    );
  });

  test('percent-encodes what section 3.1.3.2 says, and no more', () => {
    const encoded = (subject: string) =>
      encodeResponse('binary', { ...minimal, subject }, '').headers['ce-subject'];
    assert.equal(encoded('Euro € 😀'), 'Euro%20%E2%82%AC%20%F0%9F%98%80');
    assert.equal(encoded('"%\u00a0'), '%22%25%C2%A0');
    assert.equal(encoded("!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"), "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~");
  });

  test('percent-decodes once, in either case, and what needed no encoding', () => {
    const subject = (value: string) => decodeOne({ ...BINARY, 'ce-subject': value }).subject;
    assert.equal(subject('Euro%20%e2%82%aC%20%f0%9F%98%80'), 'Euro € 😀');
    assert.equal(subject('%41%62%63'), 'Abc');
    assert.equal(subject('%2541'), '%41');
    assert.equal(subject('100%, 5%z, 7%4'), '100%, 5%z, 7%4');
  });

  test('unescapes quoted strings, as CloudEvents 1.0.0 wrote them, before percent-decoding', () => {
    const subject = (value: string) => decodeOne({ ...BINARY, 'ce-subject': value }).subject;
    assert.equal(subject('"a b"'), 'a b');
    assert.equal(subject(String.raw`"say \"hi\" \\ %E2%82%AC"`), String.raw`say "hi" \ €`);
    assert.equal(subject('"half'), '"half');
    assert.equal(subject('say "hi"'), 'say "hi"');
  });

  test('refuses percent-encoded bytes that are not UTF-8, and control characters', () => {
    for (const value of ['%C0%A0', '%FF', '%ED%A0%80', '%E2%82'])
      assertRefused(
        () => decode({ ...BINARY, 'ce-subject': value }),
        /ce-subject is not percent-encoded UTF-8/,
      );
    assertRefused(() => decode({ ...BINARY, 'ce-subject': 'a%0D%0Ab' }), /subject has a control character/);
  });

  test('is told by any required ce- header, and then names what is missing', () => {
    for (const name of ['id', 'source', 'type']) {
      const { [`ce-${name}`]: _, ...others } = BINARY as Record<string, string>;
      assertRefused(() => decode(others), RegExp(`${name} is missing`));
    }
    for (const [name, message] of [
      ['ce-specversion', /id is missing/],
      ['ce-id', /specversion/],
      ['ce-source', /specversion/],
      ['ce-type', /specversion/],
    ] as const)
      assertRefused(() => decode({ [name]: '1.0', 'content-type': 'application/json' }, '{}'), message);
  });

  test('refuses names that are no attribute names', () => {
    for (const name of ['ce-', 'ce-my-ext', 'ce-my_ext', 'ce-__proto__', 'ce-constructor'])
      assertRefused(() => decode({ ...BINARY, [name]: 'x' }), /attribute names are/);
  });

  test('refuses headers for what is not a header of this mode (section 3.1.1)', () => {
    for (const name of ['ce-data', 'ce-data_base64', 'ce-datacontenttype'])
      assertRefused(() => decode({ ...BINARY, [name]: 'AAAA' }), RegExp(`${name} is not a header`));
  });

  test('reads JSON bodies as data, others as data_base64, and keeps the content type', () => {
    for (const type of ['application/json', 'Application/JSON; charset=utf-8', 'text/json', 'a/b.c+d+json'])
      assert.deepEqual(decodeOne({ ...BINARY, 'content-type': type }, '[1]'), {
        ...minimal,
        datacontenttype: type,
        data: [1],
      });
    for (const type of ['text/plain', 'application/json-seq', 'application/jsonx'])
      assert.deepEqual(decodeOne({ ...BINARY, 'content-type': type }, '[1]'), {
        ...minimal,
        datacontenttype: type,
        data_base64: 'WzFd',
      });
    assert.deepEqual(decodeOne(BINARY), minimal);
  });

  test('takes a body without a content type as bytes, whatever they are', () => {
    assert.deepEqual(decodeOne(BINARY, '[1]'), { ...minimal, data_base64: 'WzFd' });
    assert.deepEqual(decodeOne(BINARY, Buffer.from([0xff])), { ...minimal, data_base64: '/w==' });
  });

  test('is not what a body in another format of events is (section 3)', () => {
    for (const type of [
      'application/cloudevents+xml',
      'Application/CloudEvents',
      'application/cloudevents-batch+avro; a=b',
    ])
      assertRefused(
        () => decode({ ...BINARY, 'content-type': type }, '[1]'),
        /: send/,
        'unsupported-media-type',
      );
  });

  test('refuses bytes beyond ASCII in headers, in whatever charset they were meant', () => {
    for (const value of ['caf\u00c3\u00a9', 'caf\u00e9', '\u00d0\u009f', '"\u00ff"', '%41\u0080'])
      assertRefused(() => decode({ ...BINARY, 'ce-subject': value }), /ce-subject has bytes beyond ASCII/);
  });

  test('takes opaque data of any charset, and JSON in UTF-8 alone', () => {
    const latin = { ...BINARY, 'content-type': 'text/xml; charset=iso-8859-1' };
    assert.equal(decodeOne(latin, Buffer.from([0xe9])).data_base64, '6Q==');
    const json = { ...BINARY, 'content-type': 'application/json; a="; charset=utf-8"; charset="iso-8859-1"' };
    assertRefused(() => decode(json, '[1]'), /charset iso-8859-1/, 'unsupported-media-type');
  });

  test('refuses a body that is not the JSON its content type says', () => {
    assertRefused(() => decode({ ...BINARY, 'content-type': 'application/json' }, '{'), /not valid JSON/);
  });

  test('names the content type of the data as given, and that of JSON where none is', () => {
    const type = (data: object) =>
      encodeResponse('binary', { ...minimal, ...data }, '').headers['content-type'];
    assert.equal(type({}), undefined);
    assert.equal(type({ datacontenttype: 'text/plain' }), 'text/plain');
    assert.equal(type({ data: null }), 'application/json');
    assert.equal(type({ data_base64: 'AAAA' }), undefined);
    assert.equal(type({ data_base64: 'AAAA', datacontenttype: 'image/png' }), 'image/png');
  });

  test('writes text as it is, and a JSON string with its quotes (JSON format, section 3.2)', () => {
    const body = (data: object) => String(encodeResponse('binary', { ...minimal, ...data }, '').body);
    assert.equal(body({ data: '<wow/>', datacontenttype: 'application/xml' }), '<wow/>');
    assert.equal(body({ data: 'text' }), '"text"');
    assert.equal(body({ data: 'text', datacontenttype: 'application/json' }), '"text"');
    const bytes = encodeResponse('binary', { ...minimal, data_base64: 'AAEC' }, '').body;
    assert.deepEqual(bytes, Buffer.from([0, 1, 2]));
  });
});

describe('plain mode', () => {
  const headers = { 'content-type': 'application/json' };

  test('makes an event of type, data and id', () => {
    const request = { id: 'c-1', type: 'PingRequest', data: { sentAt: 1 } };
    assert.deepEqual(decode(headers, JSON.stringify(request)), {
      mode: 'plain',
      events: [{ specversion: '1.0', source: '/default', ...request }],
    });
  });

  test('makes up a unique id where none is given', () => {
    const ids = [{}, { id: null }].map((id) => decodeOne(headers, JSON.stringify({ type: 'T', ...id })).id);
    for (const id of ids) assert.match(id, /^[0-9a-f-]{36}$/);
    assert.notEqual(ids[0], ids[1]);
  });

  test('takes nothing else from the client', () => {
    const request = { type: 'T', id: 'c-1', source: '/evil', replyto: 'x', expirytime: 'x', ext: 1 };
    const event = decodeOne(headers, JSON.stringify(request));
    assert.deepEqual(Object.keys(event).sort(), ['data', 'id', 'source', 'specversion', 'type']);
    assert.equal(event.source, '/default');
  });

  test('names what is at fault', () => {
    for (const body of ['[]', 'null', '"x"', '1'])
      assertRefused(() => decode(headers, body), /plain event is/);
    assertRefused(() => decode(headers, '{}'), /type is missing/);
    assertRefused(() => decode(headers, '{"type":"a b"}'), /type must match/);
    assertRefused(() => decode(headers, '{"type":"T","id":7}'), /id must be/);
  });

  test('answers with the id of the request, and bytes as base64', () => {
    const answer = (data: object) => encodeResponse('plain', { ...minimal, ...data }, 'c-1');
    assert.deepEqual(answer({ data: [1] }), {
      headers: { 'content-type': 'application/json' },
      body: '{"id":"c-1","type":"Test","data":[1]}',
    });
    assert.equal(answer({ data_base64: 'AA==' }).body, '{"id":"c-1","type":"Test","data":{"base64":"AA=="}}');
  });
});

describe('in every mode', () => {
  test('what only Waybill sets is removed, also where it is malformed', () => {
    const internal = { correlationid: 'x', traceparent: 'x', tracestate: 'x', replyto: 'x', handledby: 'x' };
    const forged = { ...minimal, ...internal, expirytime: 'never' };
    const ceHeaders = Object.entries(forged).map(([name, value]) => [`ce-${name}`, value]);
    assert.deepEqual(decodeOne(Object.fromEntries(ceHeaders)), minimal);
    assert.deepEqual(structured(forged), minimal);
    const batch = { 'content-type': 'application/cloudevents-batch+json' };
    assert.deepEqual(decodeOne(batch, JSON.stringify([forged])), minimal);
  });

  test('other content types and charsets are refused with what to send instead', () => {
    for (const type of [
      undefined,
      '',
      'text/plain',
      'application/cloudevents',
      'application/x-www-form-urlencoded',
    ])
      assertRefused(
        () => decode({ 'content-type': type }, '{}'),
        /send application\/json/,
        'unsupported-media-type',
      );
    for (const type of [
      'application/json',
      'application/cloudevents+json',
      'application/cloudevents-batch+json',
    ])
      assertRefused(
        () => decode({ 'content-type': `${type}; charset=utf-16` }, '{}'),
        /send UTF-8/,
        'unsupported-media-type',
      );
  });

  test('any request is answered with events that every tier behind takes, or with an error of 4xx', () => {
    fc.assert(
      fc.property(anyHeaders, anyBody, (headers, body) => {
        const events = decodedOrRefused(headers, body);
        const batch = encodeMessage([...events, minimal].map(encodeEvent));
        assert.equal(decodeMessage(batch).length, events.length + 1);
      }),
      { numRuns: 2000 },
    );
  });
});

const anyHeaders: fc.Arbitrary<IncomingHttpHeaders> = fc
  .record(
    {
      'content-type': fc.oneof(
        fc.constantFrom(
          'application/json',
          'application/cloudevents+json',
          'application/cloudevents-batch+json',
          'application/json;charset=latin1',
          'application/cloudevents+xml',
          'text/plain',
        ),
        fc.string({ unit: 'grapheme-composite' }),
      ),
      ce: fc.constantFrom(BINARY, { 'ce-id': 'x' }),
      'ce-constructor': fc.string(),
      'ce-__proto__': fc.string(),
      'ce-subject': fc.string({
        unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
      }),
      'ce-time': fc.oneof(fc.string(), fc.constant('2026-01-01T00:00:00Z')),
      'ce-x': fc.stringMatching(/^(%[0-9a-fA-F]{2}|"|\\|x){0,6}$/),
    },
    { requiredKeys: [] },
  )
  .map(({ ce, ...headers }) => ({ ...ce, ...headers }));

const anyAttributes = fc
  .dictionary(
    fc.constantFrom('id', 'source', 'type', 'time', 'datacontenttype', 'data', 'data_base64', 'replyto', 'x'),
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(null, true, 1, 1.5, 'a/b', 'AAAA'),
      fc.jsonValue(),
    ),
  )
  .map((attributes) => ({ ...minimal, ...attributes }));

const anyBody: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  fc
    .oneof(
      anyAttributes,
      fc.array(anyAttributes, { maxLength: 3 }),
      fc.jsonValue(),
      fc.integer({ min: 28, max: 34 }).map(nested),
      fc.integer({ min: 28, max: 34 }).map((depth) => ({ ...minimal, data: nested(depth) })),
    )
    .map((value) => Buffer.from(JSON.stringify(value))),
);

function decodedOrRefused(headers: IncomingHttpHeaders, body: Buffer): CloudEvent[] {
  try {
    return decode(headers, body).events.filter((event) => {
      if (event instanceof AppError) assertClientsFault(event);
      return !(event instanceof AppError);
    }) as CloudEvent[];
  } catch (error) {
    assertClientsFault(error);
    return [];
  }
}

function assertClientsFault(error: unknown): void {
  assert(error instanceof AppError && error.status >= 400 && error.status < 500, error as Error);
}

/** What a receiver of the binary mode can know of `event`: strings and bytes. */
function asReadFromBinary({ data, data_base64, datacontenttype, ...attributes }: CloudEvent): CloudEvent {
  const strings = Object.entries(attributes).map(([name, value]) => [name, String(value)]);
  const event: CloudEvent = Object.fromEntries(strings);
  const isText = typeof data === 'string' && /^(text\/plain|application\/xml)/.test(datacontenttype ?? '');
  const base64 = isText ? Buffer.from(data).toString('base64') : data_base64;
  const implied = data === undefined ? undefined : 'application/json';
  if (datacontenttype !== undefined || implied) event.datacontenttype = datacontenttype ?? implied;
  if (base64) event.data_base64 = base64;
  else if (data !== undefined && !isText) event.data = data;
  return event;
}
