import type { Readable } from 'node:stream';

/** Longest piece of output that is held for its line to end; what is longer comes in pieces. */
const MAX_LINE_LENGTH = 1024 * 1024;

/**
 * Calls `onLine` with each line of a program's output, without its end, and with what is left when the output ends. Lines
 * end with `\n` alone: `node:readline` ends them at U+2028 too, which JSON has within texts.
 */
export function eachLine(output: Readable, onLine: (line: string) => void): void {
  let rest = '';
  output.setEncoding('utf8');
  output.on('data', (text) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    if (rest.length < MAX_LINE_LENGTH) return;
    onLine(rest);
    rest = '';
  });
  output.on('end', () => {
    if (rest !== '') onLine(rest);
  });
}
