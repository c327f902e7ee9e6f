/** HTTP requests as nobody should send them: right in most parts, wrong in some, and cut anywhere. */
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import fc from 'fast-check';
import { anyBody } from './http-bodies.ts';
import { anyHeaderLines, isHeader } from './http-headers.ts';
import type { RawInput } from './raw-connection.ts';

/** A route, and what signs calls to it if it takes signed ones only. */
export type Endpoint = { method: string; path: string; keys?: Key[] };

type Parts = {
  isTargetRight: boolean;
  line: string;
  lines: string[];
  contentType: string;
  body: Buffer;
  framing: Framing;
  isSigned: boolean;
};

const contentType = fc.constantFrom(
  'application/json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
);

/** `isAnswerDue`: it is whole and well framed, and waits, so that it must be told something. */
export type FuzzedRequest = RawInput & { isAnswerDue: boolean };

/** Longer ones may be refused unread, and the reset that then ends the connection may overtake the answer. */
const MAX_DUE_BYTES = 16_384;

/** Any request to `endpoint`. */
export function anyRequest(endpoint: Endpoint): fc.Arbitrary<FuzzedRequest> {
  const parts: fc.Arbitrary<Parts> = fc.record({
    isTargetRight: mostly,
    line: oddRequestLine,
    lines: anyHeaderLines,
    contentType,
    body: anyBody,
    framing: fc.oneof({ weight: 5, arbitrary: rightFraming }, { weight: 1, arbitrary: wrongFraming }),
    isSigned: mostly,
  });
  const ending = fc.constantFrom<RawInput['ending'][]>('wait', 'wait', 'wait', 'end', 'reset');
  return fc.tuple(parts, mostly, fc.nat(), ending).map(([parts, isWhole, cut, ending]) => {
    const { isTargetRight, lines, framing } = parts;
    const isAnswerDue =
      isWhole &&
      ending === 'wait' &&
      isTargetRight &&
      isRight(framing) &&
      lines.every(isHeader) &&
      parts.body.length <= MAX_DUE_BYTES;
    const bytes = toBytes(
      endpoint,
      isAnswerDue ? { ...parts, lines: [...lines, 'connection: close'] } : parts,
    );
    return { bytes: isWhole ? bytes : bytes.subarray(0, cut % (bytes.length + 1)), ending, isAnswerDue };
  });
}

/** True but for one in a dozen: a request that is wrong in every part is refused for the first. */
const mostly = fc.nat(11).map((n) => n > 0);

const oddRequestLine = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', 'post', 'QUERY', 'ÄÖ', ''),
      fc.constantFrom(
        '/',
        '/ping',
        '/%',
        '/%00',
        '/%ff',
        '//',
        '/../..',
        '*',
        'http://a/ping',
        ':',
        ' ',
        '?',
        '/ä',
      ),
      fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/2.0', 'HTTP/9.9', 'HTTP/1.1 ', 'http/1.1', ''),
    )
    .map((parts) => parts.join(' ')),
  fc.constantFrom(
    `GET /${'a'.repeat(20_000)} HTTP/1.1`,
    'PRI * HTTP/2.0\r\n\r\nSM',
    '\x16\x03\x01\x02\0\x01',
  ),
  fc.string({ unit: 'binary' }),
);

type Framing = (body: Buffer) => { headers: string[]; body: Buffer };

const length = (value: unknown) => `content-length: ${value}`;
const chunk = (body: Buffer, size = body.length.toString(16), end = '\r\n0\r\n\r\n') =>
  Buffer.concat([Buffer.from(`${size}\r\n`), body, Buffer.from(end)]);

const rightFramings: Framing[] = [
  (body) => ({ headers: [length(body.length)], body }),
  // A chunk without a byte would be the last one.
  (body) => ({
    headers: ['transfer-encoding: chunked'],
    body: body.length > 0 ? chunk(body) : Buffer.from('0\r\n\r\n'),
  }),
];
const rightFraming = fc.constantFrom(...rightFramings);

function isRight(framing: Framing): boolean {
  return rightFramings.includes(framing);
}

/** The length of the body is told wrongly, twice, not at all, or in both ways at once (request smuggling). */
const wrongFraming = fc.oneof<fc.Arbitrary<Framing>[]>(
  fc
    .constantFrom('-1', '+1', '0x10', '1e3', '', '99999999999999999999', '1, 1', '1 1', '1000', '0')
    .map((value) => (body) => ({ headers: [length(value)], body })),
  fc
    .integer({ min: -3, max: 3 })
    .map((by) => (body) => ({ headers: [length(body.length), length(body.length + by)], body })),
  fc
    .constantFrom(
      'chunked',
      ' chunked',
      'xchunked',
      'chunked, chunked',
      'identity',
      'gzip, chunked',
      'chunked;a=b',
    )
    .map((coding) => (body) => ({
      headers: [length(body.length), `transfer-encoding: ${coding}`],
      body: chunk(body),
    })),
  fc
    .constantFrom('zz', '-1', 'ffffffffffffffffff', '1', '1;ext="\0"', '')
    .map((size) => (body) => ({ headers: ['transfer-encoding: chunked'], body: chunk(body, size) })),
  fc
    .constantFrom(
      '',
      '\r\n0\r\n',
      '\r\n0\r\ntrailer: 1\r\n\r\n',
      '\n0\n\n',
      '\r\n0\r\n\r\nGET /dispatch HTTP/1.1\r\n\r\n',
    )
    .map((end) => (body) => ({ headers: ['transfer-encoding: chunked'], body: chunk(body, undefined, end) })),
  fc.constant((body) => ({ headers: [], body })),
);

function toBytes({ method, path, keys }: Endpoint, parts: Parts): Buffer {
  const { isTargetRight, line, lines, contentType, framing, isSigned } = parts;
  const { headers, body } = framing(parts.body);
  const signature = isSigned && keys ? signRequest({ method, path, body: parts.body, keys }) : {};
  const head = [
    isTargetRight ? `${method} ${path} HTTP/1.1\r\nhost: localhost` : line,
    ...Object.entries(signature).map(([name, value]) => `${name}: ${value}`),
    ...lines,
    // After the others: of two the first counts.
    `content-type: ${contentType}`,
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}
