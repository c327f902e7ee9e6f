import { answering } from '../expect-answer.ts';
import { type Measurement, measure } from '../measure.ts';
import { median, sum } from '../statistics.ts';
import { WAYBILL } from '../systems.ts';
import { toTable } from '../table.ts';
import { startWaybill, type Waybill } from '../waybill.ts';
import { runLoad, WARM_UP } from '../wrk.ts';
import { startEmbeddedBroker } from './embedded-broker.ts';
import { type BenchBroker, type ClientsRun, withStoredWaybill } from './stored-waybill.ts';

const ROUNDS = 7;
/** How many times the CPU of a request without a store one with it may take, in the middle of the rounds. */
const MAX_TIMES = 1.05;

type Way = 'without a store' | 'with a store';
type Round = Record<Way, Measurement>;

/**
 * Plain requests, without a key and of clients without an id, to a Waybill that has a store beside one that has none, each with a
 * broker of its own: in turns. Resolves with what is against the promise.
 */
export function measurePlain(run: ClientsRun): Promise<string[]> {
  return withStoredWaybill(run, {}, async (stored) => {
    const broker = await startEmbeddedBroker();
    const plain = await startWaybill({ amqpUrl: broker.url });
    await answering({ name: WAYBILL, ...plain });
    const take = (waybill: Waybill, { pid }: BenchBroker) =>
      measure({
        system: { name: WAYBILL, ...waybill },
        brokerPid: pid,
        connections: run.count,
        seconds: run.seconds,
      });
    for (const { urls } of [plain, stored]) await runLoad({ url: String(urls[0]), ...WARM_UP });
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round += 1)
      rounds.push({
        'without a store': await take(plain, broker),
        'with a store': await take(stored, run.broker),
      });
    await Promise.all(plain.processes.map((each) => each.kill()));
    print(rounds);
    return faultsIn(rounds);
  });
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
