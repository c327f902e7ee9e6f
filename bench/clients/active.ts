import { within } from '@waybill/common/within.ts';
import { Client } from 'undici';
import { type Measurement, measure } from '../measure.ts';
import { median, quantile, sum } from '../statistics.ts';
import { WAYBILL } from '../systems.ts';
import { toTable } from '../table.ts';
import { type LoadReport, PING, WARM_UP } from '../wrk.ts';
import { ANSWERED_MS, faultsOf, pingAll } from './ping-all.ts';
import { connectAll, createStayingClient } from './staying-client.ts';
import { type ClientsRun, withStoredWaybill } from './stored-waybill.ts';

const ROUNDS = 3;
/** How much more CPU an event may take whose result goes through a mailbox; held where the store is the database. */
const MAX_TIMES = 2;

type Way = 'requests' | 'mailboxes';

/** Of one client: asks once, and resolves with whether it was answered. */
type Ask = () => Promise<boolean>;

/** One measurement, and what the database took besides, per event. */
type Measured = Measurement & { databaseCpuUs: number };

/**
 * Clients with a mailbox that each send their next event when the last is answered, beside as many that do the same by requests: in
 * turns, on one Waybill. Resolves with what is against the promise.
 */
export function measureActive(run: ClientsRun): Promise<string[]> {
  const { broker, database, count, seconds } = run;
  return withStoredWaybill(run, {}, async (waybill) => {
    const [url = ''] = waybill.urls;
    const connections = Array.from({ length: count }, () => new Client(url));
    const clients = Array.from({ length: count }, (_, index) =>
      createStayingClient({ client: `active-${index}`, urlOf: () => url }),
    );
    await connectAll(clients);
    await pingAll(clients);
    const asks: Record<Way, Ask[]> = {
      requests: connections.map((connection) => () => request(connection)),
      mailboxes: clients.map((client) => () => {
        client.send();
        return within(ANSWERED_MS, client.toldNext());
      }),
    };
    const take = async (way: Way): Promise<Measured> => {
      const cpuBefore = database.cpuUs();
      let events = 0;
      const load = async () => {
        const report = await askOn(asks[way], seconds);
        events = report.requests;
        return report;
      };
      const system = { name: WAYBILL, ...waybill };
      const options = { system, brokerPid: broker.pid, connections: count, seconds, load };
      return { ...(await measure(options)), databaseCpuUs: (database.cpuUs() - cpuBefore) / events };
    };
    for (const way of Object.values(asks)) await askOn(way, WARM_UP.seconds);
    const rounds: Record<Way, Measured>[] = [];
    for (let round = 0; round < ROUNDS; round += 1)
      rounds.push({ requests: await take('requests'), mailboxes: await take('mailboxes') });
    print(rounds, database.kind);
    for (const client of clients) client.close();
    await Promise.all(connections.map((connection) => connection.close()));
    return [...clients.flatMap(faultsOf), ...faultsIn(rounds, database.kind)];
  });
}

async function request(connection: Client): Promise<boolean> {
  const headers = { 'content-type': 'application/json' };
  try {
    const { statusCode, body } = await connection.request({ method: 'POST', path: '/', headers, body: PING });
    await body.dump();
    return statusCode === 200;
  } catch {
    return false;
  }
}

/** Each asks again when it was answered. What is under way after so many seconds is awaited, and counts. */
async function askOn(asks: readonly Ask[], seconds: number): Promise<LoadReport> {
  const latenciesMs: number[] = [];
  let errors = 0;
  const startMs = performance.now();
  await Promise.all(
    asks.map(async (ask) => {
      for (let fromMs = startMs; fromMs < startMs + seconds * 1_000; ) {
        if (!(await ask())) errors += 1;
        const nowMs = performance.now();
        latenciesMs.push(nowMs - fromMs);
        fromMs = nowMs;
      }
    }),
  );
  return {
    requests: latenciesMs.length,
    refused: 0,
    durationUs: (performance.now() - startMs) * 1_000,
    p50Us: quantile(latenciesMs, 0.5) * 1_000,
    p99Us: quantile(latenciesMs, 0.99) * 1_000,
    errors,
  };
}

/** CPU time per event of all processes that it takes, in microseconds. */
const allCpuUs = ({ cpuUs, brokerCpuUs, databaseCpuUs }: Measured) =>
  sum(Object.values(cpuUs)) + brokerCpuUs + databaseCpuUs;

/** How many times the CPU of a request an event by mailbox takes, in the middle of the rounds. */
function timesOf(rounds: readonly Record<Way, Measured>[]): number {
  return median(rounds.map(({ requests, mailboxes }) => allCpuUs(mailboxes) / allCpuUs(requests)));
}

function figuresOf(measured: Measured): Record<string, number> {
  return {
    'events/s': measured.requestsPerS,
    'p50 ms': measured.p50Ms,
    'p99 ms': measured.p99Ms,
    'CPU µs': allCpuUs(measured),
    ...measured.cpuUs,
    broker: measured.brokerCpuUs,
    database: measured.databaseCpuUs,
  };
}

function print(rounds: readonly Record<Way, Measured>[], database: string): void {
  const waysOf = (way: Way) => rounds.map((round) => figuresOf(round[way]));
  const columns = Object.keys(waysOf('requests')[0] ?? {});
  const toRow = (way: Way) => [
    way,
    ...columns.map((column) => median(waysOf(way).map((figures) => figures[column] ?? 0)).toFixed(0)),
  ];
  console.log(toTable([database, ...columns], [toRow('requests'), toRow('mailboxes')]));
  console.log(`an event by mailbox takes ${timesOf(rounds).toFixed(2)} times the CPU of a request`);
}

function faultsIn(rounds: readonly Record<Way, Measured>[], database: string): string[] {
  const errors = sum(rounds.flatMap(({ requests, mailboxes }) => [requests.errors, mailboxes.errors]));
  const isDear = database === 'sqlite' && timesOf(rounds) > MAX_TIMES;
  return [
    ...(errors > 0 ? [`${errors} events were not answered`] : []),
    ...(isDear ? [`an event by mailbox takes more than ${MAX_TIMES} times the CPU of a request`] : []),
  ];
}
