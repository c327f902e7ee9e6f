/**
 * How far a stream of batches is: one line that changes on a terminal, with a bar where the total is known; elsewhere a
 * line every second. NO_COLOR turns colours off.
 *
 * Plain JavaScript without dependencies: it runs on any Node from 20 up.
 */

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 1_000;
const BAR_COLUMNS = 30;

/**
 * @typedef {object} Progress
 * @property {(bytes: number) => void} add counts one more batch
 * @property {() => void} end leaves no half line behind
 * @property {() => string[]} summary the totals, in lines
 */

/**
 * Begins to count time.
 *
 * @param {{ total?: number, output?: { isTTY?: boolean, write(text: string): unknown }, env?: NodeJS.ProcessEnv }} [options] `total` in batches
 * @returns {Progress}
 */
export function createProgress({ total, output = process.stdout, env = process.env } = {}) {
  const isLive = Boolean(output.isTTY) && env.TERM !== 'dumb';
  const startedAt = performance.now();
  let drawnAt = startedAt;
  let batches = 0;
  let bytes = 0;
  const counted = () => describe({ batches, bytes, seconds: (performance.now() - startedAt) / 1000 });

  function draw() {
    const bar = isLive && total ? `${drawBar(batches / total, !env.NO_COLOR)} ` : '';
    const of = total ? `/${total}` : '';
    const { size, rate } = counted();
    output.write(
      `${isLive ? '\r\x1b[K' : ''}${bar}${batches}${of} batches, ${size}, ${rate}${isLive ? '' : '\n'}`,
    );
  }

  return {
    add(size) {
      batches += 1;
      bytes += size;
      if (performance.now() - drawnAt < (isLive ? REDRAW_MS : PLAIN_LINE_MS)) return;
      drawnAt = performance.now();
      draw();
    },
    end() {
      if (!isLive || batches === 0) return;
      draw();
      output.write('\n');
    },
    summary() {
      const { size, rate, time } = counted();
      return [
        `batches   ${batches}, in order, the last one flagged`,
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

/** @param {{ batches: number, bytes: number, seconds: number }} counts */
function describe({ batches, bytes, seconds }) {
  const megabytes = bytes / 1e6;
  return {
    size: `${megabytes.toFixed(1)} MB`,
    rate: `${(batches / seconds).toFixed(1)} batches/s, ${(megabytes / seconds).toFixed(1)} MB/s`,
    time: `${seconds.toFixed(2)} s`,
  };
}
