import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { anyEvent, minimal, nested } from './event.fixture.ts';
import {
  BATCH_CONTENT_TYPE,
  decodeForwarded,
  decodeMessage,
  EVENT_CONTENT_TYPE,
  encodeBatch,
  encodeEvent,
  encodeMessage,
  exactEvent,
  parseForwardedBatch,
} from './event-json.ts';

test('any events survive as one message, in order', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
      assert.deepEqual(decodeMessage(encodeMessage(events.map(encodeEvent))), events);
    }),
  );
});

test('any events survive as a batch, in order', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
      const body = encodeBatch(events.map(encodeEvent));
      assert.deepEqual(decodeMessage({ contentType: BATCH_CONTENT_TYPE, body }), events);
    }),
  );
});

test('one event goes in the JSON format, none or several as a JSON batch', () => {
  const event = encodeEvent(minimal);
  assert.equal(encodeMessage([event]).contentType, EVENT_CONTENT_TYPE);
  assert.deepEqual(JSON.parse(encodeMessage([event]).body.toString()), minimal);
  assert.equal(encodeMessage([event, event]).contentType, BATCH_CONTENT_TYPE);
  assert.deepEqual(encodeMessage([]), { contentType: BATCH_CONTENT_TYPE, body: Buffer.from('[]') });
  assert.deepEqual(JSON.parse(encodeBatch([event]).toString()), [minimal]);
});

test('encodeEvent tells the bytes of its JSON, not its characters', () => {
  const { json, bytes } = encodeEvent({ ...minimal, data: '€😀' });
  assert.equal(bytes, Buffer.from(json).length);
  assert.equal(bytes, json.length + 4);
});

describe('decodeForwarded', () => {
  test('has any events as they were encoded, alone and together', () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
        const encoded = events.map(encodeEvent);
        assert.deepEqual(decodeForwarded(encodeMessage(encoded)), encoded);
      }),
    );
  });

  const digits = '12345678901234567890';
  const texts = [`{"n":${digits}}`, '"a\\t,b"', '[{},{},{}]'].map(
    (data, index) => `{"specversion":"1.0","id":"${index}","source":"/test","type":"T","data":${data}}`,
  );

  test('has the text of a tier of ours to the letter, and its numbers with all digits where they are asked for', () => {
    const body = Buffer.from(`[${texts.join('\t,')}]`);
    const decoded = decodeForwarded({ contentType: BATCH_CONTENT_TYPE, body });
    assert.deepEqual(
      decoded.map(({ json }) => json),
      texts,
    );
    assert.deepEqual(
      decoded.map((each) => JSON.stringify(exactEvent(each))),
      texts,
    );
    assert.deepEqual(encodeBatch(decoded), body);
    const [first = ''] = texts;
    const [alone] = decodeForwarded({ contentType: EVENT_CONTENT_TYPE, body: Buffer.from(first) });
    assert.equal(alone?.json, first);
  });

  test('has every event whole, however another writer sets it, with all digits', () => {
    const written = [
      `[${texts.join(',')}]`,
      ` [\n${texts.join(',\n')}\n]`,
      `[${texts.join(',\n').replaceAll(',"', ',\n"')}]`,
      `[${texts.join(',').replaceAll('},{', '},\n{')}]`,
      `[${texts.join('\t,').replaceAll(',"', '\t,"')}]`,
      `[${texts.join('\t,')} ]`,
      // As many pieces as there are events, and none of them an event.
      `[${texts.join(',').replaceAll('{},', '{}\t,')}]`,
      `[${texts.join(', ').replaceAll('{', '{\n  ').replaceAll('}', '\n}')}]`,
    ];
    for (const text of written) {
      const decoded = decodeForwarded({ contentType: BATCH_CONTENT_TYPE, body: Buffer.from(text) });
      assert.deepEqual(
        decoded.map((each) => JSON.stringify(exactEvent(each))),
        texts,
        text,
      );
      for (const { json, bytes, event } of decoded) {
        assert.deepEqual(JSON.parse(json), event);
        assert.equal(bytes, Buffer.byteLength(json));
      }
    }
  });

  test('refuses what decodeMessage refuses; of a batch the others can be had', () => {
    const refused: [string, string][] = [
      ['text/plain', '{}'],
      [BATCH_CONTENT_TYPE, '{}'],
      [BATCH_CONTENT_TYPE, `[${texts[0]}\t,{}]`],
      [EVENT_CONTENT_TYPE, '{"specversion":"1.0"'],
      [EVENT_CONTENT_TYPE, '[]'],
      [BATCH_CONTENT_TYPE, '[{"constructor":1}]'],
    ];
    for (const [contentType, text] of refused) {
      const message = { contentType, body: Buffer.from(text) };
      const codeOf = (decode: typeof decodeForwarded | typeof decodeMessage) => {
        try {
          decode(message);
          return undefined;
        } catch (error) {
          return (error as { code: string }).code;
        }
      };
      assert.ok(codeOf(decodeMessage), text);
      assert.equal(codeOf(decodeForwarded), codeOf(decodeMessage), text);
    }
    const parsed = parseForwardedBatch(Buffer.from(`[7\t,${texts[0]}]`));
    assert.deepEqual(
      parsed.map(({ json }) => json),
      ['7', texts[0]],
    );
  });
});

describe('decodeMessage', () => {
  const decode = (contentType: string, body: string) =>
    decodeMessage({ contentType, body: Buffer.from(body) });

  test('reads the media type in any case and with parameters', () => {
    const contentType = 'Application/CloudEvents+JSON ; charset=UTF-8';
    assert.deepEqual(decode(contentType, JSON.stringify(minimal)), [minimal]);
  });

  test('refuses content types that do not carry events', () => {
    for (const contentType of [
      '',
      'application/json',
      'application/cloudevents',
      'application/cloudevents+jsonx',
    ])
      assert.throws(() => decode(contentType, '{}'), { code: 'unsupported-media-type' });
  });

  test('refuses a batch with one event at fault as a whole', () => {
    assert.throws(() => decode(BATCH_CONTENT_TYPE, JSON.stringify([minimal, { ...minimal, id: '' }])), {
      code: 'invalid-request',
      message: /^id /,
    });
  });

  test('refuses one event under the type of a batch, and a batch under the type of one', () => {
    assert.throws(() => decode(BATCH_CONTENT_TYPE, JSON.stringify(minimal)), { message: /JSON array/ });
    assert.throws(() => decode(EVENT_CONTENT_TYPE, JSON.stringify([minimal])), { message: /JSON object/ });
  });

  test('takes data twice as deep as the edge does, which handlers may have wrapped', () => {
    const event = { ...minimal, data: nested(62) };
    assert.deepEqual(decode(BATCH_CONTENT_TYPE, JSON.stringify([event])), [event]);
    assert.deepEqual(decode(EVENT_CONTENT_TYPE, JSON.stringify(event)), [event]);
    const deeper = JSON.stringify([{ ...minimal, data: nested(63) }]);
    assert.throws(() => decode(BATCH_CONTENT_TYPE, deeper), { message: /deeper than 64/ });
  });

  test('answers any body with events or with an error of 4xx', () => {
    const contentType = fc.constantFrom(EVENT_CONTENT_TYPE, BATCH_CONTENT_TYPE);
    const body = fc.oneof(fc.uint8Array().map(Buffer.from), fc.json().map(Buffer.from));
    fc.assert(
      fc.property(contentType, body, (contentType, body) => {
        try {
          decodeMessage({ contentType, body });
        } catch (error) {
          assert.equal((error as { status: number }).status, 400);
        }
      }),
    );
  });
});
