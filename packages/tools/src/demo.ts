/**
 * `npm run demo`: starts the whole system, sends a ping, shows the answer and the trace of that very ping, and a client
 * that leaves and gets what it has missed, has a dataset sent to a client's queue and checks it, stops everything. Exits 0; on a failure it says which part failed and exits 1.
 */
import { randomUUID } from 'node:crypto';
import { programName } from '../../../bin/plain/program-name.mjs';
import { interrupted, runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { assertStopped, createOutputKeeper, demoEnv, endedByItself, startDeadline } from './demo-services.ts';
import { runServices } from './run-services.ts';
import { isByNpx, show } from './show-program.ts';
import { showStream } from './show-stream.ts';
import { readStartOptions } from './start-options.ts';
import { describeSystem, type System } from './system.ts';

const usage = `usage: ${isByNpx ? programName('demo.mjs') : 'npm run demo --'} [options]

  --port-offset <n>  move every port by this much
  --help             print this`;

await runProgram(async () => {
  const { help, portOffset } = readStartOptions();
  if (help) return console.log(usage);
  const system = await describeSystem(demoEnv(), { portOffset });
  for (const doubt of system.doubts) console.error(doubt);
  const startedAt = performance.now();
  const output = createOutputKeeper();
  const services = runServices({ stages: system.stages, onLine: output.keep });
  /** What ends the demo early, from wherever it is. */
  const trouble = Promise.race([interrupted(), endedByItself(services.firstEnd, output)]);
  trouble.catch(() => {});
  let failure: unknown;
  try {
    console.log(
      `starting ${system.stages
        .flat()
        .map(({ name }) => name)
        .join(', ')}`,
    );
    await Promise.race([services.ready, trouble, startDeadline(services)]);
    console.log(`ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s\n`);
    await Promise.race([showPing(system), trouble]);
    console.log();
    await Promise.race([showStream(system.publicUrl), trouble]);
    await Promise.race([showDataset(system), trouble]);
  } catch (error) {
    failure = error;
  }
  const ends = await services.stop();
  if (failure) throw failure;
  assertStopped(ends, output);
  console.log(`\nstopped${isByNpx ? '' : '; npm start runs the same until Ctrl-C'}`);
});

async function showPing({ publicUrl, telemetryUrl }: System) {
  const toOtherPort = publicUrl.endsWith(':8080') ? [] : ['--url', `${publicUrl}/`];
  const answer = await show('req', toOtherPort);
  const traceId = /^trace id: ([0-9a-f]{32})$/m.exec(answer)?.[1];
  if (!traceId) throw new UserError('the demo failed: the answer names no trace');
  console.log();
  const atOtherPort = telemetryUrl?.endsWith(':4318')
    ? []
    : ['--tempo-url', `${telemetryUrl}`, '--wait-ms', '2000'];
  await show('trace', [traceId, ...atOtherPort], { isRead: false });
}

async function showDataset({ grpcAddress, clientBrokerUrl }: System) {
  console.log();
  // A name of its own: on a broker of yours there may be such a queue already.
  const client = ['--client', `demo-${randomUUID().slice(0, 8)}`];
  const atOtherPort = grpcAddress.endsWith(':50051') ? [] : ['--url', grpcAddress];
  // The URL may hold a password, so it does not show among the arguments.
  const env = { AMQP_URL: clientBrokerUrl };
  await show('dataset-client', [...client, ...atOtherPort], { isRead: false, env });
}
