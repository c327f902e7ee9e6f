/** Lines of UTF-8 text from a stream, of a bounded length: a server that never ends its line does not fill the memory. */
import { UserError } from './user-error.mjs';

/** More than the 100 MB that a batch may have, in base64. */
const MAX_LINE_BYTES = 160 * 1024 * 1024;

/**
 * The last one must end with `\n` too.
 *
 * @param {AsyncIterable<Buffer>} stream
 * @param {number} [maxBytes] of one line
 * @throws {UserError} for a line that is too long, not UTF-8, or cut off
 */
export async function* readLines(stream, maxBytes = MAX_LINE_BYTES) {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  /** @type {Buffer[]} */
  let parts = [];
  let length = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      yield decode(decoder, Buffer.concat([...parts, chunk.subarray(from, end)]));
      parts = [];
      length = 0;
      from = end + 1;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > maxBytes) throw new UserError(`a line is longer than ${maxBytes} bytes`);
  }
  if (length > 0) throw new UserError(`the last line is cut off after ${length} bytes`);
}

/**
 * @param {TextDecoder} decoder
 * @param {Buffer} line
 */
function decode(decoder, line) {
  try {
    return decoder.decode(line);
  } catch {
    throw new UserError('a line is not UTF-8');
  }
}
