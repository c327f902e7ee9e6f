/** What metrics show of the neighbours of a site, each by its name. */
import { meshBreakerOpen, meshConnected, meshInFlight } from '@waybill/common/telemetry/metrics.ts';
import type { Neighbour } from './neighbour.ts';

type Gauge = typeof meshInFlight;

const OBSERVED: [Gauge, read: (neighbour: Neighbour) => number][] = [
  [meshInFlight, (neighbour) => neighbour.inFlight()],
  [meshConnected, (neighbour) => Number(neighbour.isActive())],
  [meshBreakerOpen, (neighbour) => Number(!neighbour.isClosed())],
];

/** Has the gauges show `neighbours` as they then are, until what is returned is called. */
export function observeNeighbours(neighbours: () => Iterable<Neighbour>): () => void {
  const stops = OBSERVED.map(([gauge, read]) => {
    const observe: Parameters<Gauge['addCallback']>[0] = (result) => {
      for (const neighbour of neighbours()) result.observe(read(neighbour), { peer: neighbour.name });
    };
    gauge.addCallback(observe);
    return () => gauge.removeCallback(observe);
  });
  return () => {
    for (const stop of stops) stop();
  };
}
