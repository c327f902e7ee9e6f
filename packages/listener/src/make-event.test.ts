import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EventSpan } from '@waybill/common/telemetry/tracing.ts';
import { type NewEvent, TerminalError } from './handler.ts';
import { makeEvent, makeProblem } from './make-event.ts';

const event: CloudEvent = {
  specversion: '1.0',
  id: 'request-1',
  source: '/client',
  type: 'PingRequest',
  subject: 'of the request',
  data: { of: 'the request' },
  correlationid: 'key-1',
  replyto: 'address-1',
  expirytime: '2030-01-01T00:00:00Z',
  traceparent: '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01',
  tracestate: 'vendor=1',
};
const maker = { event, service: 'ping' };

describe('makeEvent', () => {
  it('makes a reply that carries on the correlation id, reply address, deadline and trace, and names its maker', () => {
    const { event: reply, json } = makeEvent({ type: 'PingResponse', data: 1 }, maker, 'reply');
    const { id, time, handledby, ...rest } = reply;
    assert.deepEqual(rest, {
      specversion: '1.0',
      source: '/waybill/ping',
      type: 'PingResponse',
      data: 1,
      correlationid: 'key-1',
      replyto: 'address-1',
      expirytime: '2030-01-01T00:00:00Z',
      traceparent: event.traceparent,
      tracestate: 'vendor=1',
    });
    assert.match(id, /^[0-9a-f-]{36}$/);
    assert.ok(!Number.isNaN(Date.parse(String(time))));
    assert.match(String(handledby), /^ping\/.+/);
    assert.deepEqual(JSON.parse(json), reply);
  });

  it('makes a further event that carries on the trace only: nobody waits for it', () => {
    const { event: made } = makeEvent({ type: 'Pinged', id: 'mine' }, maker, 'event');
    assert.equal(made.id, 'mine');
    assert.equal(made.traceparent, event.traceparent);
    for (const name of ['correlationid', 'replyto', 'expirytime', 'handledby'])
      assert.ok(!(name in made), name);
  });

  it('takes nothing that only Waybill sets from a handler that made its event of the one that it was given', () => {
    const given = { ...event, hops: 31, handledby: 'other/1', replayof: event.traceparent };
    const reply = makeEvent({ ...given, type: 'PingResponse' }, { ...maker, event: given }, 'reply');
    for (const name of ['hops', 'replayof']) assert.ok(!(name in reply.event), name);
    assert.match(String(reply.event.handledby), /^ping\//);
    const further = makeEvent({ ...given, type: 'Pinged' }, { ...maker, event: given, hops: 32 }, 'event');
    for (const name of ['correlationid', 'replyto', 'expirytime', 'handledby', 'replayof'])
      assert.ok(!(name in further.event), name);
    assert.equal(further.event.hops, 32);
  });

  it('stamps the span of the handler, with its trace state and not that of the request', () => {
    const span = { traceparent: '00-0123456789abcdef0123456789abcdef-fedcba9876543210-01' } as EventSpan;
    const { event: made } = makeEvent({ type: 'Pinged' }, { ...maker, span }, 'event');
    assert.equal(made.traceparent, span.traceparent);
    assert.equal(made.tracestate, undefined);
  });

  it('counts bytes, not characters', () => {
    const { json, bytes } = makeEvent({ type: 'Pinged', data: 'ü€😀' }, maker, 'event');
    assert.equal(bytes, Buffer.byteLength(json));
    assert.ok(bytes > json.length);
  });

  const circular: Record<string, unknown> = {};
  circular.secretMember = circular;
  const deep = JSON.parse('['.repeat(100) + ']'.repeat(100));
  const invalid: Record<string, NewEvent> = {
    'an invalid type': { type: 'not a type' },
    'no type': {} as NewEvent,
    'an id that is too long': { type: 'Pinged', id: 'x'.repeat(129) },
    'data and data_base64': { type: 'Pinged', data: 1, data_base64: 'AA==' },
    'circular data': { type: 'Pinged', data: circular },
    'a BigInt': { type: 'Pinged', data: 1n },
    'a Map': { type: 'Pinged', data: { secretMember: new Map([[1, 2]]) } },
    'a Set': { type: 'Pinged', data: [new Set([1])] },
    NaN: { type: 'Pinged', data: Number.NaN },
    Infinity: { type: 'Pinged', data: { secretMember: Number.NEGATIVE_INFINITY } },
    'bytes within other data': { type: 'Pinged', data: { secretMember: Buffer.from([1]) } },
    'bytes that are numbers': { type: 'Pinged', data: new Float64Array(1) },
    'an array with a gap': { type: 'Pinged', data: new Array(1) },
    'undefined in an array': { type: 'Pinged', data: [undefined] },
    'a function': { type: 'Pinged', data: { secretMember() {} } },
    'a symbol': { type: 'Pinged', data: Symbol('secretMember') },
    'an Error': { type: 'Pinged', data: new Error('secretMember') },
    'a RegExp': { type: 'Pinged', data: /secretMember/ },
    'a Promise': { type: 'Pinged', data: Promise.resolve('secretMember') },
    'a Date that is none': { type: 'Pinged', data: new Date(Number.NaN) },
    'what an object says by toJSON': { type: 'Pinged', data: { toJSON: () => new Map() } },
    'bytes and data_base64': { type: 'Pinged', data: Buffer.from([1]), data_base64: 'AA==' },
    'a subject with a control character': { type: 'Pinged', subject: 'a\nb' },
    'a type of data that makes it look structured': {
      type: 'Pinged',
      datacontenttype: 'application/cloudevents+xml',
    },
    'a charset that is not what is sent': {
      type: 'Pinged',
      data: 'é',
      datacontenttype: 'text/plain; charset=latin1',
    },
    'more headers than clients can read': { type: 'Pinged', subject: '€'.repeat(1_000) },
    'as many in small': {
      type: 'Pinged',
      ...Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`x${n}`, '€'.repeat(30)])),
    },
    // What the next tier would refuse to parse.
    'data nested too deep': { type: 'Pinged', data: deep },
    'a member named constructor': { type: 'Pinged', data: { constructor: 'ACME' } },
    'a number beyond the range of doubles': { type: 'Pinged', data: { limit: JSON.rawJSON('1e400') } },
  };
  for (const [fault, newEvent] of Object.entries(invalid))
    it(`throws a TerminalError for ${fault}, without naming what is in it`, () => {
      assert.throws(
        () => makeEvent(newEvent, maker, 'reply'),
        (error) =>
          error instanceof TerminalError &&
          error.code === 'invalid-reply' &&
          !error.message.includes('secretMember'),
      );
    });

  it('carries what JSON has as it is, and what says by toJSON how it is carried', () => {
    const data = {
      a: [null, true, -0.5, 'é\ud800', {}],
      b: undefined,
      c: new Date(0),
      d: new URL('http://a/'),
      e: new Point(1),
    };
    const { json } = makeEvent({ type: 'Pinged', data }, maker, 'reply');
    const carried = {
      a: [null, true, -0.5, 'é\ud800', {}],
      c: '1970-01-01T00:00:00.000Z',
      d: 'http://a/',
      e: { x: 1 },
    };
    assert.deepEqual(JSON.parse(json).data, carried);
  });

  const bytes = Buffer.from([0, 1, 2, 3]);
  const forms = {
    Buffer: bytes.subarray(1),
    Uint8Array: new Uint8Array([1, 2, 3]),
    ArrayBuffer: new Uint8Array([1, 2, 3]).buffer,
  };
  for (const [form, data] of Object.entries(forms))
    for (const kind of ['reply', 'event'] as const)
      it(`carries data that is a ${form} as data_base64, in a ${kind}`, () => {
        const { event: made, json } = makeEvent(
          { type: 'Pinged', data, datacontenttype: 'image/png' },
          maker,
          kind,
        );
        assert.deepEqual(
          [made.data, made.data_base64, made.datacontenttype],
          [undefined, 'AQID', 'image/png'],
        );
        assert.ok(!('data' in JSON.parse(json)));
      });

  it('carries bytes of any charset, and attributes that make up to 8 kB of headers', () => {
    const datacontenttype = 'text/plain; charset=iso-8859-1';
    const latin = makeEvent({ type: 'Pinged', data: Buffer.from([0xe9]), datacontenttype }, maker, 'reply');
    assert.equal(latin.event.data_base64, '6Q==');
    makeEvent({ type: 'Pinged', subject: '€'.repeat(850) }, maker, 'reply');
    // Nobody reads these as headers.
    makeEvent(
      { type: 'Pinged', subject: '€'.repeat(2_048), datacontenttype: 'application/cloudevents+json' },
      maker,
      'event',
    );
  });

  it('throws a TerminalError for one larger than 256 kB, or what it is given, and makes one that is just as large', () => {
    const overhead = makeEvent({ type: 'Pinged', data: '' }, maker, 'event').bytes;
    const sized = (bytes: number, maxEventBytes?: number) =>
      makeEvent({ type: 'Pinged', data: 'x'.repeat(bytes - overhead) }, { ...maker, maxEventBytes }, 'event');
    assert.equal(sized(256 * 1024).bytes, 256 * 1024);
    assert.throws(() => sized(256 * 1024 + 1), { name: 'TerminalError', code: 'event-too-large' });
    assert.equal(sized(300_000, 300_000).bytes, 300_000);
    assert.throws(() => sized(300_001, 300_000), { message: /300001 bytes, more than 300000/ });
  });
});

describe('makeProblem', () => {
  it('makes a reply with a 502 problem that names the event, the error and the reason', () => {
    const { event: reply } = makeProblem({
      ...maker,
      reason: 'handler-failed',
      code: 'declined',
      detail: 'no money',
    });
    assert.equal(reply.type, 'waybill.Problem');
    assert.equal(reply.datacontenttype, 'application/problem+json');
    assert.equal(reply.correlationid, 'key-1');
    assert.deepEqual(reply.data, {
      type: 'urn:waybill:problem:handler-failed',
      title: 'The listener failed to handle the event',
      status: 502,
      detail: 'no money',
      code: 'handler-failed',
      reason: 'handler-failed',
      error_code: 'declined',
      event_id: 'request-1',
    });
  });
});

class Point {
  readonly x: number;
  constructor(x: number) {
    this.x = x;
  }
}
