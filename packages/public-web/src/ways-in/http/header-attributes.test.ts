/** What every odd form of a header becomes that is an attribute of an event, or why it is refused. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { portOf } from '@waybill/common/http/http-server.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { createAdmit } from '../../admission/admission.ts';
import { createIdempotency } from '../../idempotency/create-idempotency.ts';
import { createMemoryIdempotencyStore } from '../../idempotency/idempotency-store.ts';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { createPublicApp } from './app.ts';

let app: FastifyInstance;
let received: CloudEvent | undefined;
before(async () => {
  ({ app } = await createPublicApp({
    log: pino({ level: 'silent' }),
    types: () => ({}),
    admit: createAdmit({ apiKeys: undefined, addressRate: undefined } as never),
    acceptClient: undefined as never,
    async answerEvent(event) {
      received = { ...event };
      return { id: event.id, reply: event };
    },
    idempotency: createIdempotency({
      store: createMemoryIdempotencyStore({ windowMs: 1_000, maxKeys: 1 }),
      deadlineMs: 1_000,
      maxJoined: 1,
    }),
    held: createHeldReplies(),
    deadlineMs: 1_000,
    readiness: () => undefined,
    maxConnections: 100,
    maxEventLoopDelayMs: 1e6,
    allowedHosts: [],
    tickets: undefined as never,
    allowedOrigins: [],
  }));
  await app.listen({ host: '127.0.0.1', port: 0 });
});
after(() => app.close());

/** Sends header lines as bytes, which are those of UTF-8 unless said otherwise. */
async function post(
  lines: string[],
  { encoding = 'utf8' as BufferEncoding, body = '' } = {},
): Promise<string> {
  received = undefined;
  const socket = connect(portOf(app) as number, '127.0.0.1');
  const head = ['POST / HTTP/1.1', 'host: 127.0.0.1', 'connection: close', `content-length: ${body.length}`];
  socket.write(Buffer.from(`${[...head, ...lines].join('\r\n')}\r\n\r\n${body}`, encoding));
  return await text(socket);
}

const REQUIRED = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/t', 'ce-type': 'T' };
const lines = (headers: Record<string, string>) =>
  Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
const withSubject = (value: string) => [...lines(REQUIRED), `ce-subject: ${value}`];

describe('ce-subject', () => {
  const taken: Record<string, string> = {
    plain: 'plain',
    '  around  ': 'around',
    'a b': 'a b',
    'a, b': 'a, b',
    'caf%C3%A9': 'café',
    'caf%c3%a9%20%F0%9F%98%80': 'café 😀',
    '%22%25%41': '"%A',
    '100%': '100%',
    '"quoted \\" and %25"': 'quoted " and %',
    '"half': '"half',
    null: 'null',
  };
  for (const [value, subject] of Object.entries(taken))
    it(`is ${JSON.stringify(subject)} when it is sent as ${value}`, async () => {
      assert.match(await post(withSubject(value)), /^HTTP\/1.1 200 /);
      assert.equal(received?.subject, subject);
    });

  const refused: Record<string, [string[], BufferEncoding?]> = {
    empty: [withSubject('')],
    'of raw UTF-8': [withSubject('café')],
    'of raw UTF-8 that Latin-1 has no letters for': [withSubject('Привет')],
    'of raw Latin-1': [withSubject('café'), 'latin1'],
    'percent-encoded, and not as UTF-8': [withSubject('caf%E9')],
    'half a character': [withSubject('%E2%82')],
    'a surrogate': [withSubject('%ED%A0%80')],
    overlong: [withSubject('%C0%A0')],
    'a control character, encoded': [withSubject('a%0D%0Ab')],
    'a control character of C1, encoded': [withSubject('%C2%85')],
    'a noncharacter': [withSubject('%EF%BF%BF')],
    'a tab': [withSubject('a\tb')],
    'a control character': [withSubject('a\x01b')],
    'continued on another line': [[...withSubject('a'), ' b']],
    'of 2,049 characters': [withSubject('s'.repeat(2_049))],
    'given twice': [[...withSubject('a'), 'ce-subject: b']],
    'given twice alike, in different case': [[...withSubject('a'), 'CE-Subject: a']],
  };
  for (const [name, [sent, encoding]] of Object.entries(refused))
    it(`is refused when it is ${name}`, async () => {
      assert.match(await post(sent, { encoding }), /^HTTP\/1.1 400 .*problem\+json/s);
      assert.equal(received, undefined);
    });
});

describe('the other attributes', () => {
  /** By attribute: what is taken as it is, and what is refused. */
  const values: Record<string, [taken: string[], refused: string[]]> = {
    specversion: [['1.0'], ['', '0.3', '1.0.2', '"1.1"']],
    id: [
      ['1', 'i'.repeat(128)],
      ['', 'i'.repeat(129)],
    ],
    source: [
      ['/a', 'urn:a:b', 'https://a/b?c#d'],
      ['', 'a%20b', 'a b', '<a>', '1a:b'],
    ],
    type: [
      ['T', 'a.B-c_1'],
      ['', 'a/b', 'a b', 't'.repeat(129)],
    ],
    time: [
      ['2026-01-01T00:00:00Z', '1990-12-31T23:59:60Z', '1990-12-31T15:59:60-08:00'],
      ['', '2020-02-30T00:00:00Z', '2026-01-01T24:00:00Z', '2026-01-01', '2026-01-01T00:00:60Z'],
    ],
    dataschema: [
      ['urn:a:b', 'https://a/b'],
      ['', '/a', 'a%20b'],
    ],
    anextension: [['', 'x', '4294967296', 'true'], ['%FF']],
  };
  for (const [name, [taken, refused]] of Object.entries(values)) {
    for (const value of taken)
      it(`${name} is taken as it is: ${value.slice(0, 30)}`, async () => {
        assert.match(await post(lines({ ...REQUIRED, [`ce-${name}`]: value })), /^HTTP\/1.1 200 /);
        assert.equal(received?.[name], value);
      });
    for (const value of refused)
      it(`${name} is refused: ${value.slice(0, 30)}`, async () => {
        assert.match(await post(lines({ ...REQUIRED, [`ce-${name}`]: value })), /^HTTP\/1.1 400 /);
        assert.equal(received, undefined);
      });
  }

  for (const name of [
    '',
    'my-ext',
    'my_ext',
    'constructor',
    '__proto__',
    'data',
    'data_base64',
    'datacontenttype',
    'x'.repeat(65),
  ])
    it(`a header ce-${name.slice(0, 20)} is refused`, async () => {
      assert.match(await post(lines({ ...REQUIRED, [`ce-${name}`]: 'x' })), /^HTTP\/1.1 400 /);
    });

  for (const name of [
    'correlationid',
    'replyto',
    'expirytime',
    'handledby',
    'traceparent',
    'tracestate',
    'replayof',
  ])
    it(`a header ce-${name} is dropped, for only Waybill sets it`, async () => {
      assert.match(await post(lines({ ...REQUIRED, [`ce-${name}`]: 'x y' })), /^HTTP\/1.1 200 /);
      assert.equal(received?.[name], undefined);
    });
});

describe('the content type', () => {
  /** By header: what a body of `[1]` is then. */
  const bodies: Record<string, object> = {
    'application/json': { datacontenttype: 'application/json', data: [1] },
    'a/b+json; c="; charset=latin1"': { datacontenttype: 'a/b+json; c="; charset=latin1"', data: [1] },
    'text/plain; charset=latin1': { datacontenttype: 'text/plain; charset=latin1', data_base64: 'WzFd' },
  };
  for (const [type, expected] of Object.entries(bodies))
    it(`is the datacontenttype, unchanged: ${type}`, async () => {
      const answer = await post([...lines(REQUIRED), `content-type: ${type}`], { body: '[1]' });
      assert.match(answer, /^HTTP\/1.1 200 /);
      const { specversion, id, source, type: _, ...rest } = received as CloudEvent;
      assert.deepEqual([specversion, id, source, rest], ['1.0', '1', '/t', expected]);
      assert.ok(answer.toLowerCase().includes(`content-type: ${type.toLowerCase()}\r\n`), answer);
    });

  it('is none where there is none, and the body is bytes', async () => {
    assert.doesNotMatch(await post(lines(REQUIRED), { body: '[1]' }), /content-type/i);
    assert.deepEqual([received?.datacontenttype, received?.data_base64], [undefined, 'WzFd']);
  });

  for (const type of [
    'application/cloudevents+xml',
    'application/cloudevents',
    'json',
    'a/b; c',
    'a/b; c="',
    'application/json; charset=latin1',
  ])
    it(`is refused with 415: ${type}`, async () => {
      assert.match(
        await post([...lines(REQUIRED), `content-type: ${type}`], { body: '[1]' }),
        /^HTTP\/1.1 415 /,
      );
      assert.equal(received, undefined);
    });

  it('is refused with 400 when it is given twice', async () => {
    const sent = [...lines(REQUIRED), 'content-type: a/b', 'content-type: a/b'];
    assert.match(await post(sent, { body: '[1]' }), /^HTTP\/1.1 400 /);
  });

  it('is refused with 415 and Accept-Encoding when its data is encoded', async () => {
    const sent = [...lines(REQUIRED), 'content-type: text/plain', 'content-encoding: gzip'];
    assert.match(await post(sent, { body: 'x' }), /^HTTP\/1.1 415 .*accept-encoding: identity/s);
  });
});
