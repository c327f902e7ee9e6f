/**
 * Loaded into a process of a measurement (`--import`), has it tell on SIGUSR2 what it holds once all garbage is collected, and by
 * how much its event loop was late at most since it was last asked: as a line of JSON on its standard output.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

process.on('SIGUSR2', () => {
  const loopDelayMs = delay.max / 1e6;
  collectGarbage();
  // What the first has let go of may have held more.
  collectGarbage();
  const { heapUsed: heapBytes, external: externalBytes } = process.memoryUsage();
  console.log(JSON.stringify({ usage: { heapBytes, externalBytes, loopDelayMs } }));
  delay.reset();
});
