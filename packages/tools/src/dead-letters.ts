/**
 * Looks into the queue of dead letters, and replays or discards what is in it. Nothing is lost whatever ends it: a
 * dead letter is removed only when it was discarded by name or its replay is confirmed.
 */
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { DEAD_LETTER_REASONS } from '@waybill/common/broker/dead-letter.ts';
import { meantBy } from '@waybill/common/misspelt.ts';
import { runProgram, toNumber, UserError } from '../../../bin/plain/user-error.mjs';
import { toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { type DeadLetterQueue, openDeadLetterQueue } from './dead-letter-queue.ts';
import { describe, printDeadLetter, printJson, printTable, printWholeJson } from './print-dead-letters.ts';
import { type DeadLetter, hasId, readDeadLetter } from './read-dead-letter.ts';
import { replayDeadLetter } from './replay-dead-letter.ts';

/** Ours, and the broker's own words where it is the broker that gave up. */
const reasons = [...DEAD_LETTER_REASONS, 'delivery_limit', 'rejected', 'expired', 'maxlen'];

const usage = `usage: node bin/dead-letters.mjs <command> [options]

  list                   a table of dead letters
  show <id>              all that is known of one, with its event; credentials in it are sealed and stay so
  replay <id> | --all    sends the event again to the service it failed in, and removes the dead letter when the
                         broker has confirmed it
  discard <id> | --all   removes it for good

  --type <type>          only events of this type
  --reason <reason>      only what was given up for this reason (docs/dead-letters.md says what each means):
                         ${reasons.slice(0, 5).join(', ')},
                         ${reasons.slice(5, 9).join(', ')},
                         ${reasons.slice(9).join(', ')}
  --limit <n>            list this many at the most (default 100)
  --json                 list and show: print JSON for programs
  --yes                  discard without asking
  --amqp <url>           the broker, amqp://user:password@host:port/vhost or amqps: (default: AMQP_URL, the file that
                         AMQP_URL_FILE names, or amqp://guest:guest@localhost:5672)
  --help                 print this

The id is the event's. A message that holds no event, or several, goes by a digest of its bytes, and is replayed or
discarded as a whole; the id of any event in it names it too. Several dead letters with one id are treated alike.

A replayed event keeps its id. It starts a new trace, linked to the old one, and its attempts are counted anew. It
loses correlationid, replyto and expirytime: the client that waited for it has been answered, so its reply goes nowhere, and
nothing drops it for being late. If this program or the broker dies at that moment it may be handled and still be here.`;

const commands = { list, show, replay, discard };

await runProgram(async () => {
  const options = readOptions();
  if (options.help) return console.log(usage);
  const interruption = new AbortController();
  // A second signal ends it at once.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => interruption.abort());
  const queue = await openDeadLetterQueue(options.broker);
  try {
    const code = await commands[options.command](queue, options, interruption.signal);
    if (interruption.signal.aborted) throw new UserError('interrupted');
    return code;
  } catch (error) {
    throw queue.explain(error);
  } finally {
    await queue.close();
  }
});

type Options = ReturnType<typeof readOptions>;
type Queue = DeadLetterQueue;

async function list(queue: Queue, options: Options, signal: AbortSignal) {
  const found = [];
  for await (const { message, events, ...summary } of select(queue, options, signal)) {
    found.push(summary);
    if (found.length === options.limit) break;
  }
  if (signal.aborted) return;
  if (options.json) printJson(found);
  else if (found.length > 0) printTable(found);
  console.error(`${found.length} of ${queue.total} dead letters`);
}

async function show(queue: Queue, options: Options, signal: AbortSignal) {
  const found = [];
  for await (const deadLetter of select(queue, options, signal)) found.push(deadLetter);
  if (signal.aborted) return;
  if (found.length === 0) throw none(options);
  if (options.json) printWholeJson(found);
  else found.forEach(printDeadLetter);
}

async function replay(queue: Queue, options: Options, signal: AbortSignal) {
  let replayed = 0;
  let failed = 0;
  for await (const deadLetter of select(queue, options, signal)) {
    const { to, problem } = await replayOne(queue, deadLetter);
    if (to) {
      replayed += 1;
      console.log(`replayed ${describe(deadLetter)} to ${to}`);
    } else {
      failed += 1;
      console.error(`not replayed: ${describe(deadLetter)}: ${problem}`);
    }
  }
  if (replayed + failed === 0 && !signal.aborted) throw none(options);
  await queue.removed();
  console.error(`replayed ${replayed}${failed ? `, not replayed and still here ${failed}` : ''}`);
  return failed > 0 ? 1 : 0;
}

async function replayOne(queue: Queue, deadLetter: DeadLetter) {
  try {
    const result = await replayDeadLetter(queue, deadLetter);
    if (result.to) queue.remove(deadLetter.message);
    return result;
  } catch (error) {
    console.error(`perhaps replayed, and still here: ${describe(deadLetter)}`);
    throw error;
  }
}

async function discard(queue: Queue, options: Options, signal: AbortSignal) {
  const found = [];
  // Of what may be a million, the contents are not kept.
  for await (const { message, events, ...summary } of select(queue, options, signal))
    found.push({ fields: message.fields, summary });
  if (signal.aborted) return;
  if (found.length === 0) throw none(options);
  printTable(found.map(({ summary }) => summary));
  if (!options.yes && !(await isAgreed(`discard ${found.length} for good? [y/N] `, signal)))
    throw new UserError('nothing was discarded');
  if (signal.aborted) return;
  for (const { fields } of found) queue.remove({ fields });
  await queue.removed();
  console.error(`discarded ${found.length}`);
}

async function* select(queue: Queue, { id, type, reason }: Options, signal: AbortSignal) {
  for await (const message of queue.take(signal)) {
    const deadLetter = readDeadLetter(message);
    if (id !== undefined && !hasId(deadLetter, id)) continue;
    if (type !== undefined && deadLetter.type !== type) continue;
    if (reason === undefined || deadLetter.reason === reason) yield deadLetter;
  }
}

function none({ id }: Options) {
  return new UserError(
    id === undefined ? 'there are no such dead letters' : `there is no such dead letter: ${id}`,
  );
}

async function isAgreed(question: string, signal: AbortSignal) {
  if (!process.stdin.isTTY) throw new UserError('nobody can be asked here: discard needs --yes');
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C and Ctrl-D close it, and leave the question unanswered.
  const closed = new Promise((resolve) => terminal.once('close', () => resolve('')));
  try {
    const answer = await Promise.race([terminal.question(question, { signal }).catch(() => ''), closed]);
    return /^y(es)?$/i.test(String(answer).trim());
  } finally {
    terminal.close();
  }
}

function readOptions() {
  const { values, positionals } = parse();
  const { help = false, all = false, amqp, limit, json, yes, type, reason } = values;
  const [command = '', id, ...rest] = positionals;
  if (!help) {
    if (!Object.hasOwn(commands, command) || rest.length > 0)
      throw new UserError('give a command: list, show, replay or discard; see --help');
    if (command === 'list' ? id !== undefined || all : (id === undefined) !== all)
      throw new UserError(`${command} takes ${command === 'list' ? 'no id' : 'an id or --all'}; see --help`);
  }
  return {
    help,
    command: command as keyof typeof commands,
    id,
    type,
    reason: toReason(reason),
    json,
    yes,
    limit: toNumber('limit', limit),
    broker: toBroker(amqp ?? readBrokerUrl(process.env)),
  };
}

function toReason(text: string | undefined) {
  if (text === undefined || reasons.includes(text)) return text;
  const meant = meantBy(text, reasons);
  const question = meant === undefined ? '' : `: did you mean ${meant}?`;
  throw new UserError(`there is no reason ${text}${question} (there are ${reasons.join(', ')})`);
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        type: { type: 'string' },
        reason: { type: 'string' },
        limit: { type: 'string', default: '100' },
        json: { type: 'boolean', default: false },
        yes: { type: 'boolean', default: false },
        amqp: { type: 'string' },
        help: { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
