/**
 * Clients that each send numbers over a gRPC stream of their own (`nimbus.NimbusService`), and hold the results against what is
 * promised: the square of each, in order, whatever becomes of the connection.
 */
import { parseArgs } from 'node:util';
import { printable } from '../../../bin/plain/printable.mjs';
import { createProgress } from '../../../bin/plain/progress.mjs';
import { interrupted, runProgram, toNumber, UserError } from '../../../bin/plain/user-error.mjs';
import { type StreamedResult, type StreamSummary, streamNumbers } from './stream-numbers.ts';

/** No more results than this are printed one by one. */
const MAX_PRINTED = 20;

const usage = `usage: node bin/stream-client.mjs [options]

  --client_id <name>    the client's id (default user123)
  --start <n>           the first number (default 1)
  --end <n>             the last one (default 10)
  --clients <n>         so many clients at once, <name>-1 and so on, each with a connection of its own
  --url <host:port,…>   public-web's gRPC ports (default localhost:50051); https://<host:port> if they speak TLS. With several,
                        clients are spread over them, and one whose connection ends goes to the next
  --timeout <seconds>   give up when nothing has come for this long (default 30)
  --help                print this`;

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const { ids, start, end } = options;
  const total = ids.length * (end - start + 1);
  const progress = createProgress({ total, what: 'results' });
  const isShort = total <= MAX_PRINTED;
  const stop = new AbortController();
  const clients = ids.map((clientId, index) =>
    streamNumbers({
      ...options,
      clientId,
      firstUrl: index,
      signal: stop.signal,
      onResult: (result) => (isShort ? console.log(describe(result)) : progress.add()),
      onMissed: (result) => (isShort ? console.log(`missed before: ${describe(result)}`) : undefined),
    }),
  );
  try {
    const summaries = await Promise.race([Promise.all(clients), interrupted()]);
    progress.end();
    console.log([...toLines(summaries, total), ...(isShort ? [] : progress.summary())].join('\n'));
    return summaries.some(({ refused }) => refused > 0) ? 1 : 0;
  } catch (error) {
    stop.abort();
    progress.end();
    throw error;
  }
});

function toLines(summaries: StreamSummary[], total: number): string[] {
  const sum = (name: keyof StreamSummary) => summaries.reduce((all, summary) => all + summary[name], 0);
  const refused = sum('refused');
  return [
    `clients     ${summaries.length}`,
    `results     ${total - refused}, in order, each the square of its number`,
    ...(refused ? [`refused     ${refused}`] : []),
    `missed      ${sum('missed')} before, and now received`,
    `repeated    ${sum('repeated')}`,
    `reconnects  ${sum('reconnects')}`,
  ];
}

function describe({ event_name, number, result, problem }: StreamedResult): string {
  if (!problem) return printable(`${event_name} ${number} = ${result}`);
  return printable(`${event_name} ${number}: ${problem.status} ${problem.code}, ${problem.detail}`);
}

function readOptions() {
  const { client_id: name, help, ...values } = parse();
  const [start, end] = [toInt32('start', values.start), toInt32('end', values.end)];
  if (end < start) throw new UserError(`--end must not be less than --start and is ${end}`);
  const clients = values.clients === undefined ? undefined : toNumber('clients', values.clients);
  const ids =
    clients === undefined ? [name] : Array.from({ length: clients }, (_, index) => `${name}-${index + 1}`);
  return {
    help,
    ids,
    start,
    end,
    urls: values.url.split(','),
    timeoutMs: toNumber('timeout', values.timeout) * 1000,
  };
}

function toInt32(name: string, text: string): number {
  const number = Number(text);
  if (/^-?\d+$/.test(text) && number === number << 0) return number;
  throw new UserError(`--${name} must be a whole number of 32 bits and is ${text}`);
}

function parse() {
  try {
    return parseArgs({
      options: {
        client_id: { type: 'string', default: 'user123' },
        start: { type: 'string', default: '1' },
        end: { type: 'string', default: '10' },
        clients: { type: 'string' },
        url: { type: 'string', default: 'localhost:50051' },
        timeout: { type: 'string', default: '30' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
