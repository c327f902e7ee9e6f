import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { anyEvent, minimal, nested } from './event.fixture.ts';
import {
  BATCH_CONTENT_TYPE,
  decodeMessage,
  EVENT_CONTENT_TYPE,
  encodeBatch,
  encodeEvent,
  encodeMessage,
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
