/** What every HTTP port refuses for its head alone, before anything of its body is read. */
import type { IncomingMessage } from 'node:http';
import { type Problem, problemFor } from '../problem.ts';

/** Headers that are read here as one value. Node joins two of them (`ce-id: 1, 2`), or drops the second. */
const SINGLE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'x-api-key',
  'idempotency-key',
  'content-type',
  'content-length',
]);

/** The problem of a request whose head alone is at fault; undefined for any other. */
export function headProblem({ headers, httpVersion, rawHeaders }: IncomingMessage): Problem | undefined {
  if (headers.host === undefined && httpVersion === '1.1')
    return problemFor('invalid-request', 'there is no Host header (RFC 9112, section 3.2)');
  const doubled = isAnyDoubled(rawHeaders, headers) && doubledName(rawHeaders);
  if (doubled) return problemFor('invalid-request', `there are two headers ${doubled}, which has one value`);
  const { 'transfer-encoding': coding, 'content-encoding': encoding } = headers;
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked')
    return {
      ...problemFor('invalid-request', `the transfer coding ${coding} is not known: send chunked`),
      status: 501,
    };
  if (encoding !== undefined && !/^(?:[ \t,]|identity)*$/i.test(encoding))
    return problemFor(
      'unsupported-media-type',
      `the content coding ${encoding} is not decoded: send identity`,
    );
  return undefined;
}

/** Node has one member for all headers of a name. */
function isAnyDoubled(rawHeaders: readonly string[], headers: object): boolean {
  return rawHeaders.length !== 2 * Object.keys(headers).length;
}

function doubledName(rawHeaders: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    if (!SINGLE.has(name) && !name.startsWith('ce-')) continue;
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
}
