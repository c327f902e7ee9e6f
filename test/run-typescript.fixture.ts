/** Says with which arguments it runs, and ends as it is told on its standard input, or by a signal. */
import { getCompileCacheDir } from 'node:module';
import { text } from 'node:stream/consumers';

process.on('SIGTERM', () => process.exit(3));
if (process.argv[2] === 'compiled') console.log(getCompileCacheDir(), process.env.NODE_COMPILE_CACHE);
else console.log(JSON.stringify(process.argv.slice(2)));
const told = (await text(process.stdin)).trim();
if (told === 'abort') process.kill(process.pid, 'SIGKILL');
process.exitCode = Number(told);
