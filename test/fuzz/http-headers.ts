import fc from 'fast-check';

const INTERNAL = 'correlationid,traceparent,tracestate,expirytime,replyto,handledby'.split(',');
const SPAN = '00-0123456789abcdef0123456789abcdef-0123456789abcdef-01';

/** Values of headers that mean something here, right and wrong. */
const values: Record<string, string[]> = {
  accept: ['*/*', 'text/html', 'x'],
  'accept-encoding': ['gzip, br', 'gzip;q=9', ''],
  authorization: ['Bearer', 'Bearer x', `bearer ${'k'.repeat(5_000)}`, 'Basic eDp4', '\xff'],
  baggage: ['a=b', ','.repeat(3_000)],
  connection: ['close', 'keep-alive', 'upgrade', 'close, keep-alive', ''],
  'content-encoding': ['gzip', 'br', 'identity', 'x'],
  'content-type': ['text/plain', 'application/json; charset=utf-16', ';', 'a', 'multipart/form-data', ''],
  cookie: ['a=b', '=;=;'],
  expect: ['100-continue', '200-ok', ''],
  forwarded: ['for=127.0.0.1', 'for="_'],
  host: ['', 'a b', 'localhost:99999', '[::1', 'evil.example'],
  'idempotency-key': ['"a"', 'a', '""', '"a', '\xe9', 'k'.repeat(300), 'a, b'],
  'if-modified-since': ['x', 'Thu, 01 Jan 1970 00:00:00 GMT'],
  origin: ['null', 'https://evil.example'],
  prefer: ['wait=1', 'wait=0', 'wait=-1', 'wait=999999', 'wait=1e9', 'wait="1', ', wait = 1 ,'],
  range: ['bytes=0-0', 'bytes=9-1', 'bytes=0-0,1-1,2-2', 'lines=1'],
  traceparent: [SPAN, SPAN.replace('00', 'ff'), '00-0-0-0', SPAN.repeat(50), 'x'],
  tracestate: ['a=b', '='.repeat(600)],
  upgrade: ['websocket', 'h2c', 'TLS/1.0'],
  'x-forwarded-for': ['127.0.0.1', '\xff'],
  'x-http-method-override': ['DELETE'],
};

const meaningful = fc
  .constantFrom(...Object.entries(values))
  .chain(([name, texts]) => fc.constantFrom(...texts).map((text) => `${name}: ${text}`));

const attribute = fc
  .tuple(
    fc.constantFrom(
      'id',
      'source',
      'type',
      'specversion',
      'time',
      'data',
      '__proto__',
      'constructor',
      '',
      ...INTERNAL,
    ),
    fc.constantFrom(
      '1.0',
      'PingRequest',
      '%',
      '%ff',
      '%0A',
      '%00',
      '"a',
      '\xe9',
      'waybill.Problem',
      'x'.repeat(3_000),
    ),
  )
  .map(([name, text]) => `ce-${name}: ${text}`);

/** Lines that are no headers, or more of them than anyone takes. */
const brokenLines = [
  'no colon',
  ': no name',
  'a b: 1',
  'folded: a\r\n b',
  'a: \0',
  'a: b\rc: d',
  'a: b\nc: d',
  ' a: b',
  'a:b',
  '__proto__: 1',
  'hasOwnProperty: 1',
  `long: ${'x'.repeat(20_000)}`,
  `${'n'.repeat(20_000)}: x`,
  Array.from({ length: 2_500 }, (_, i) => `h${i}: 1`).join('\r\n'),
];
const broken = fc.constantFrom(...brokenLines);

/** Whether `line` is a header as it should be, whatever its value. */
export function isHeader(line: string): boolean {
  return !brokenLines.includes(line);
}

/** The lines between the first one and those that tell the length of the body. */
export const anyHeaderLines: fc.Arbitrary<string[]> = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: meaningful },
    { weight: 3, arbitrary: attribute },
    { weight: 1, arbitrary: broken },
  ),
  { maxLength: 3 },
);
