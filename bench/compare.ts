/**
 * `npm run bench`: Waybill beside its peers, on a RabbitMQ of its own. docs/performance.md says how to read it.
 *
 *     npm run bench                                            everything, about 15 minutes
 *     npm run bench -- --peers nestjs --connections 64,256     Waybill and NestJS at two numbers of connections
 *     npm run bench -- --seconds 20 --rounds 5 --out folder    longer, and results elsewhere than bench/results
 *     npm run bench -- --tracing                               all of them exporting their telemetry
 *
 * Exits 1, naming the system, when one gives an answer that is an error.
 */
import { comparisonTable } from './comparison-table.ts';
import { answering } from './expect-answer.ts';
import { installPeers } from './install-peers.ts';
import { describeMachine } from './machine.ts';
import { measure } from './measure.ts';
import { readOptions } from './options.ts';
import { startBroker } from './start-broker.ts';
import { type RoundMeasurement, summarize } from './summarize.ts';
import type { RunningSystem, System } from './systems.ts';
import { startTelemetrySink } from './telemetry-sink.ts';
import { writeResults } from './write-results.ts';
import { runLoad, WARM_UP } from './wrk.ts';

const options = readOptions(process.argv.slice(2));
const machine = await describeMachine();
installPeers();
const broker = await startBroker();
const sink = options.hasTelemetry ? await startTelemetrySink() : undefined;
const systems: RunningSystem[] = [];
for (const system of options.systems) {
  systems.push(await naming(system.name, startWarm(system)));
  console.log(`${system.name.padEnd(20)}${system.description}`);
}

const measurements: RoundMeasurement[] = [];
for (const connections of options.connections) {
  for (let round = 0; round < options.rounds; round++)
    for (const system of systems)
      measurements.push(await naming(system.name, measureInRound(system, connections, round)));
  const ofNow = measurements.filter((each) => each.connections === connections);
  console.log(`\n${comparisonTable(summarize(ofNow))}`);
}
const received = await sink?.received();
const files = await writeResults({ options, machine, measurements, received });
console.log(`\nwritten: ${files.join(', ')}`);
const faults = findFaults();
for (const fault of faults) console.error(fault);
// The broker last: its clients would complain.
await Promise.all(systems.flatMap(({ processes }) => processes.map((each) => each.kill())));
await broker.stop();
process.exit(faults.length > 0 ? 1 : 0);

async function startWarm({ start }: System): Promise<RunningSystem> {
  const system = await start({ amqpUrl: broker.url, telemetry: sink?.env });
  await answering(system);
  for (const url of system.urls) await runLoad({ url, ...WARM_UP });
  return system;
}

async function measureInRound(
  system: RunningSystem,
  connections: number,
  round: number,
): Promise<RoundMeasurement> {
  const measurement = await measure({ system, connections, brokerPid: broker.pid, seconds: options.seconds });
  // What was under way when the load ended is done before the next one is measured.
  await answering(system);
  return { ...measurement, round };
}

/** Makes an error say which system it is about. */
function naming<T>(name: string, work: Promise<T>): Promise<T> {
  return work.catch((cause) => {
    throw new Error(`${name}: ${cause.message}`, { cause });
  });
}

function findFaults(): string[] {
  const faulty = measurements.filter(({ errors, requestsPerS }) => errors > 0 || requestsPerS === 0);
  const silent = systems.filter(({ name }) => received && !received[name]?.exports);
  return [
    ...faulty.map(({ system, connections, errors, requestsPerS }) =>
      requestsPerS === 0
        ? `${system}: no answer at ${connections} connections`
        : `${system}: ${errors} errors at ${connections} connections`,
    ),
    ...silent.map(({ name }) => `${name}: exported no telemetry`),
  ];
}
