/**
 * How far a stream of batches, or of results, is: one line that changes on a terminal, with a bar where the total is known; elsewhere a
 * line every second. NO_COLOR turns colours off.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 up.
 */

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 1_000;
const BAR_COLUMNS = 30;

/**
 * @typedef {object} Progress
 * @property {(bytes?: number) => void} add counts one more
 * @property {() => void} end leaves no half line behind
 * @property {() => string[]} summary the totals, in lines
 */

/**
 * Begins to count time.
 *
 * @param {{ total?: number, what?: string, output?: { isTTY?: boolean, write(text: string): unknown }, env?: NodeJS.ProcessEnv }} [options] `total` of
 *   `what` is counted, by default batches, the only ones with a size
 * @returns {Progress}
 */
export function createProgress({ total, what = 'batches', output = process.stdout, env = process.env } = {}) {
  const isLive = Boolean(output.isTTY) && env.TERM !== 'dumb';
  const startedAt = performance.now();
  let drawnAt = startedAt;
  let count = 0;
  let bytes = 0;
  const counted = () => describe({ count, what, bytes, seconds: (performance.now() - startedAt) / 1000 });

  function draw() {
    const bar = isLive && total ? `${drawBar(count / total, !env.NO_COLOR)} ` : '';
    const of = total ? `/${total}` : '';
    const { size, rate } = counted();
    const amount = what === 'batches' ? `${size}, ${rate}` : rate;
    output.write(`${isLive ? '\r\x1b[K' : ''}${bar}${count}${of} ${what}, ${amount}${isLive ? '' : '\n'}`);
  }

  return {
    add(size = 0) {
      count += 1;
      bytes += size;
      if (performance.now() - drawnAt < (isLive ? REDRAW_MS : PLAIN_LINE_MS)) return;
      drawnAt = performance.now();
      draw();
    },
    end() {
      if (!isLive || count === 0) return;
      draw();
      output.write('\n');
    },
    summary() {
      const { size, rate, time } = counted();
      if (what !== 'batches') return [`rate        ${rate} over ${time}`];
      return [
        `batches   ${count}, in order, the last one flagged`,
        `data      ${size} (${bytes} bytes)`,
        `rate      ${rate} over ${time}`,
      ];
    },
  };
}

/**
 * @param {number} share
 * @param {boolean} hasColour
 */
function drawBar(share, hasColour) {
  const full = Math.round(Math.min(share, 1) * BAR_COLUMNS);
  const bar = '█'.repeat(full);
  return `${hasColour ? `\x1b[36m${bar}\x1b[39m` : bar}${'░'.repeat(BAR_COLUMNS - full)}`;
}

/** @param {{ count: number, what: string, bytes: number, seconds: number }} counts */
function describe({ count, what, bytes, seconds }) {
  const megabytes = bytes / 1e6;
  return {
    size: `${megabytes.toFixed(1)} MB`,
    rate:
      `${(count / seconds).toFixed(1)} ${what}/s` +
      (what === 'batches' ? `, ${(megabytes / seconds).toFixed(1)} MB/s` : ''),
    time: `${seconds.toFixed(2)} s`,
  };
}
