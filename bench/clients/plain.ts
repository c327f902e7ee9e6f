import { answering } from '../expect-answer.ts';
import { type Measurement, measure } from '../measure.ts';
import { median, sum } from '../statistics.ts';
import { WAYBILL } from '../systems.ts';
import { toTable } from '../table.ts';
import { startWaybill } from '../waybill.ts';
import { runLoad, WARM_UP } from '../wrk.ts';
import { startEmbeddedBroker } from './embedded-broker.ts';
import type { ClientsRun } from './stored-waybill.ts';

/** In turns, the first of each round being the other one: what the machine has to do besides changes. */
const ROUNDS = 8;
/** How many times the CPU of a request without a store one with it may take, in the middle of the rounds. */
const MAX_TIMES = 1.05;

type Way = 'without a store' | 'with a store';
type Round = Record<Way, Measurement>;

/**
 * Plain requests, without a key and of clients without an id, to a Waybill that has a store beside one that has none, each with a
 * broker of its own: in turns. Resolves with what is against the promise.
 */
export async function measurePlain(run: ClientsRun): Promise<string[]> {
  const brokers = { 'without a store': await startEmbeddedBroker(), 'with a store': run.broker };
  const waybills = {
    'without a store': await startWaybill({ amqpUrl: brokers['without a store'].url }),
    'with a store': await startWaybill({ amqpUrl: run.broker.url, databaseUrl: run.database.url }),
  };
  const take = (way: Way) =>
    measure({
      system: { name: WAYBILL, ...waybills[way] },
      brokerPid: brokers[way].pid,
      connections: run.count,
      seconds: run.seconds,
    });
  for (const waybill of Object.values(waybills)) {
    await answering({ name: WAYBILL, ...waybill });
    await runLoad({ url: String(waybill.urls[0]), ...WARM_UP });
  }
  const rounds: Round[] = [];
  const order: Way[] = ['without a store', 'with a store'];
  for (let round = 0; round < ROUNDS; round += 1) {
    const taken = {} as Round;
    for (const way of order.reverse()) taken[way] = await take(way);
    rounds.push(taken);
  }
  for (const { processes } of Object.values(waybills))
    await Promise.all(processes.map((each) => each.kill()));
  print(rounds);
  return faultsIn(rounds);
}

/** CPU time per request of all processes that it takes, in microseconds. */
const allCpuUs = ({ cpuUs, brokerCpuUs }: Measurement) => sum(Object.values(cpuUs)) + brokerCpuUs;

function timesOf(rounds: readonly Round[]): number[] {
  return rounds
    .map((round) => allCpuUs(round['with a store']) / allCpuUs(round['without a store']))
    .sort((one, other) => one - other);
}

function print(rounds: readonly Round[]): void {
  const rows = (['without a store', 'with a store'] as const).map((way) => {
    const middle = (figure: (measured: Measurement) => number) =>
      median(rounds.map((round) => figure(round[way]))).toFixed(1);
    const tiers = ['public-web', 'dispatcher', 'listener', 'store'];
    return [
      way,
      middle(({ requestsPerS }) => requestsPerS),
      middle(({ p50Ms }) => p50Ms),
      middle(allCpuUs),
      ...tiers.map((tier) => middle(({ cpuUs }) => cpuUs[tier] ?? 0)),
      middle(({ brokerCpuUs }) => brokerCpuUs),
    ];
  });
  const columns = [
    'requests/s',
    'p50 ms',
    'CPU µs',
    'public-web',
    'dispatcher',
    'listener',
    'store',
    'broker',
  ];
  console.log(toTable(['plain requests', ...columns], rows));
  const times = timesOf(rounds);
  const [least, most] = [times[0] ?? 0, times.at(-1) ?? 0];
  console.log(
    `with a store a request takes ${median(times).toFixed(3)} times the CPU (${least.toFixed(3)} to ${most.toFixed(3)})`,
  );
}

function faultsIn(rounds: readonly Round[]): string[] {
  const errors = sum(rounds.flatMap((round) => Object.values(round).map((measured) => measured.errors)));
  const isDear = median(timesOf(rounds)) > MAX_TIMES;
  return [
    ...(errors > 0 ? [`${errors} requests were not answered`] : []),
    ...(isDear ? [`a request takes more than ${MAX_TIMES} times the CPU where there is a store`] : []),
  ];
}
