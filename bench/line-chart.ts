/** One line chart as a piece of SVG, both axes logarithmic, so that what differs by a factor differs by a length. */
export type Line = { colour: string; isBold: boolean; points: { x: number; y: number }[] };

export type ChartBox = { left: number; top: number; width: number; height: number };

/** The `x` of the points are labelled as they are; `y` at powers of ten and their halves. */
export function lineChart(title: string, lines: readonly Line[], box: ChartBox): string {
  const points = lines.flatMap((line) => line.points);
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const toX = logScale(xs, box.left, box.left + box.width);
  const ticks = ticksAround(points.map(({ y }) => y));
  const toY = logScale(ticks, box.top + box.height, box.top);
  return [
    text(box.left, box.top - 14, title, 'font-weight="bold"'),
    ...ticks.map((y) => gridLine(box, toY(y), y)),
    ...xs.map((x) => text(toX(x), box.top + box.height + 18, String(x), 'text-anchor="middle"')),
    ...lines.map((line) => drawLine(line, toX, toY)),
  ].join('\n');
}

/** Text that may hold anything, at a place. */
export function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escaped}</text>`;
}

function logScale(values: readonly number[], from: number, to: number): (value: number) => number {
  const [low, high] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  return (value) =>
    high > low ? from + ((Math.log(value) - low) / (high - low)) * (to - from) : (from + to) / 2;
}

/** 1, 2 and 5 of each power of ten, from the last below all values to the first above. */
function ticksAround(values: readonly number[]): number[] {
  const all = Array.from({ length: 16 }, (_, power) =>
    [1, 2, 5].map((digit) => digit * 10 ** (power - 3)),
  ).flat();
  const low = all.findLast((tick) => tick <= Math.min(...values)) ?? all[0] ?? 0;
  const high = all.find((tick) => tick >= Math.max(...values)) ?? all.at(-1) ?? 0;
  return all.filter((tick) => tick >= low && tick <= high);
}

function gridLine({ left, width }: ChartBox, y: number, value: number): string {
  const line = `<line x1="${left}" x2="${left + width}" y1="${round(y)}" y2="${round(y)}" stroke="#ddd"/>`;
  return line + text(left - 6, y + 4, value.toLocaleString('en'), 'text-anchor="end"');
}

function drawLine(
  { colour, isBold, points }: Line,
  toX: (x: number) => number,
  toY: (y: number) => number,
): string {
  const places = points.map(({ x, y }) => [round(toX(x)), round(toY(y))] as const);
  const width = isBold ? 4 : 1.5;
  const path = places.map((place) => place.join(',')).join(' ');
  const dots = places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="${width + 1}" fill="${colour}"/>`);
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${width}"/>${dots.join('')}`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
