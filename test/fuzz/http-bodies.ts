import fc from 'fast-check';

const internal = {
  correlationid: 'guessed',
  replyto: 'http://127.0.0.1:1/',
  expirytime: 'never',
  handledby: 1,
};
const event = { specversion: '1.0', id: 'e-1', source: '/fuzz', type: 'PingRequest' };
const client = {
  client_id: 'c',
  queue_name: 'q',
  amqp_host: 'localhost',
  amqp_port: 1,
  amqp_user: 'u',
  amqp_pass: 'p',
};

/** Attributes of events, and fields of clients, with values of any kind. */
const changes = fc.dictionary(
  fc.constantFrom(...Object.keys({ ...event, ...client, ...internal }), 'data', 'data_base64', 'time', 'x'),
  fc.oneof(
    fc.jsonValue(),
    fc.constantFrom('waybill.Problem', 'NewClientRequest', 'Nobody.Takes', 'PingRequest', 'AAAA', null, 0.1),
    fc.constantFrom('x'.repeat(3_000), '\ud83d', '\0', -1, 70_000, '2026-01-01T00:00:00Z', 'amq.x', 'a\nb'),
  ),
  { maxKeys: 3 },
);
const anyEvent = fc
  .tuple(fc.constantFrom<object>(event, client, { ...event, ...internal }), changes)
  .map(([base, changes]) => ({ ...base, ...changes }));

const json = fc
  .oneof(
    { weight: 6, arbitrary: anyEvent },
    { weight: 3, arbitrary: fc.array(anyEvent, { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.jsonValue() },
  )
  .map((value) => Buffer.from(JSON.stringify(value)));

const text = JSON.stringify(event);
const nasty = fc
  .constantFrom(
    ...['', 'null', '0', '"x"', '[]', '[null]', '[[]]', '{}', '{"type":null}', '{"data":{}}'],
    '\ufeff{}',
    '{"__proto__":{"a":1}}',
    text.replace('{', '{"constructor":{"prototype":{"a":1}},'),
    text.replace('{', '{"__proto__":null,'),
    text.replace('{', `{"data":${'['.repeat(5_000)}${']'.repeat(5_000)},`),
    `${'['.repeat(100_000)}`,
    `[${Array.from({ length: 300 }, () => text).join(',')}]`,
    `[${'0,'.repeat(100_000)}0]`,
    text.replace('{', `{"data":"${'x'.repeat(300_000)}",`),
    text.replace('{', `{${Array.from({ length: 200 }, (_, i) => `"x${i}":1`).join(',')},`),
    `${text}${text}`,
    '1e999999',
    'type=PingRequest&id=1',
  )
  .map((body) => Buffer.from(body));

/** Bodies of every kind: right, of the wrong shape, hostile, not UTF-8, not text at all. */
export const anyBody: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 5, arbitrary: json },
  { weight: 3, arbitrary: nasty },
  {
    weight: 1,
    arbitrary: fc
      .tuple(json, fc.nat(), fc.constantFrom(0x00, 0x80, 0xc0, 0xed, 0xff))
      .map(([bytes, at, byte]) => Buffer.from(bytes).fill(byte, at % bytes.length, (at % bytes.length) + 1)),
  },
  { weight: 1, arbitrary: fc.uint8Array().map((bytes) => Buffer.from(bytes)) },
);
