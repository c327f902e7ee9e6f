/**
 * `npm run bench:mesh -- --faults`: five sites, each a process of its own, in a ring, a star and a full mesh, of which one is frozen,
 * cut off, killed and started again: how long calls take that it has nothing to do with, how those that it has are answered, and
 * after how long the mesh is whole again.
 */
import {
  callFaulty,
  callOthers,
  type FiveProcesses,
  GIVEN_UP,
  IDS,
  p99,
  startFiveProcesses,
  TOPOLOGIES,
} from '../packages/mesh/src/grpc/five-processes.fixture.ts';

const ROUNDS = 50;
/** How long a fault lasts at least: long enough for the site to be given up, and for those who would connect to it to come more seldom. */
const FAULT_MS = 10_000;
const DEADLINE_MS = 1_500;
const WHOLE_MS = 60_000;

/** In a ring, calls of others than neighbours may be on their way over the site at fault. */
const isMeant = {
  ring: (origin: string, target: string) => Math.abs(IDS.indexOf(origin) - IDS.indexOf(target)) <= 1,
  star: () => true,
  full: () => true,
};

export async function measureFaults(): Promise<void> {
  for (const name of ['ring', 'star', 'full'] as const) {
    const sites = await startFiveProcesses(TOPOLOGIES[name]);
    try {
      await sites.whole(WHOLE_MS);
      const faults = [
        ['frozen', sites.freeze, sites.thaw],
        ['cut off', sites.cutOff, sites.mend],
        ['killed', sites.kill, sites.restart],
      ] as const;
      for (const [fault, inject, cure] of faults)
        await measure(`${name}, ${fault}`, { sites, inject, cure, isMeant: isMeant[name] });
      const twice = sites.runs().filter((times) => times > 1).length;
      console.log(`${name}: ${sites.runs().length} calls ran, ${twice} of them more than once`);
    } finally {
      await sites.close();
    }
  }
}

async function measure(
  name: string,
  {
    sites,
    inject,
    cure,
    isMeant,
  }: {
    sites: FiveProcesses;
    inject(): unknown;
    cure(): unknown;
    isMeant(origin: string, target: string): boolean;
  },
): Promise<void> {
  const timed = async (leastMs: number) => {
    const took = callOthersFor(leastMs, () => callOthers(sites, ROUNDS, isMeant));
    const answers = await callFaulty(sites, DEADLINE_MS, took);
    return { p99Ms: p99(await took), answers };
  };
  const before = await timed(0);
  await inject();
  const during = await timed(FAULT_MS);
  await cure();
  const wholeMs = await sites.whole(WHOLE_MS);
  const late = during.answers.filter(({ answer }) => answer.status.details.code === GIVEN_UP).length;
  const ratio = during.p99Ms / before.p99Ms;
  console.log(
    `${name}: p99 of the others ${before.p99Ms.toFixed(1)} ms before, ${during.p99Ms.toFixed(1)} ms meanwhile (${ratio.toFixed(2)} times); ` +
      `${during.answers.length} calls of the site itself, ${late} not answered by ${DEADLINE_MS} ms; whole again after ${(wholeMs / 1000).toFixed(1)} s`,
  );
}

async function callOthersFor(leastMs: number, call: () => Promise<number[]>): Promise<number[]> {
  const untilMs = performance.now() + leastMs;
  const took: number[] = [];
  do took.push(...(await call()));
  while (performance.now() < untilMs);
  return took;
}
