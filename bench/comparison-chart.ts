import { type Line, lineChart, text } from './line-chart.ts';
import type { Summary } from './summarize.ts';
import { WAYBILL } from './systems.ts';

const WIDTH = 960;
const HEIGHT = 440;
const WAYBILL_COLOUR = '#d1242f';
const PEER_COLOURS = ['#57606a', '#8250df', '#0969da', '#1b7c83', '#bf8700', '#1a7f37'];

/** The picture of a comparison as SVG: requests a second and CPU per request, over the number of connections. */
export function comparisonChart(summaries: readonly Summary[], title: string): string {
  const names = [...new Set(summaries.map(({ system }) => system))];
  const linesOf = (figure: (summary: Summary) => number) =>
    names.map((name) => toLine(name, names, summaries, figure));
  const panel = { top: 90, width: 380, height: 250 };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(20, 30, title, 'font-size="16"'),
    lineChart(
      'Requests a second, by connections',
      linesOf(({ requestsPerS }) => requestsPerS),
      {
        ...panel,
        left: 70,
      },
    ),
    lineChart(
      'CPU µs per request, broker included, by connections',
      linesOf(({ ownCpuUs, brokerCpuUs }) => ownCpuUs + brokerCpuUs),
      { ...panel, left: 550 },
    ),
    ...names.map((name, index) => legend(name, colourOf(name, names), index)),
    '</svg>\n',
  ].join('\n');
}

function toLine(
  name: string,
  names: readonly string[],
  summaries: readonly Summary[],
  figure: (summary: Summary) => number,
): Line {
  const points = summaries
    .filter(({ system }) => system === name)
    .map((summary) => ({ x: summary.connections, y: figure(summary) }))
    // A logarithm has no place for nothing: no request was answered, or no CPU tick was seen.
    .filter(({ y }) => y > 0 && Number.isFinite(y));
  return { colour: colourOf(name, names), isBold: name === WAYBILL, points };
}

function colourOf(name: string, names: readonly string[]): string {
  if (name === WAYBILL) return WAYBILL_COLOUR;
  const peers = names.filter((each) => each !== WAYBILL);
  return PEER_COLOURS[peers.indexOf(name) % PEER_COLOURS.length] ?? 'black';
}

function legend(name: string, colour: string, index: number): string {
  const [x, y] = [70 + (index % 4) * 220, 392 + Math.floor(index / 4) * 22];
  return `<rect x="${x}" y="${y - 10}" width="12" height="12" fill="${colour}"/>${text(x + 18, y, name)}`;
}
