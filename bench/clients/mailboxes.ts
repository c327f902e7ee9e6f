import { Pool } from 'undici';
import { inParallel } from '../in-parallel.ts';
import { sum } from '../statistics.ts';
import { toTable } from '../table.ts';
import type { Waybill } from '../waybill.ts';
import { createAnswerCheck, type Message } from './answer-check.ts';
import { askUsage } from './ask-usage.ts';
import { type ClientsRun, withStoredWaybill } from './stored-waybill.ts';

/** What all processes of Waybill and the disk may take together, of a hundred thousand. */
const MAX_BYTES = 1024 ** 3;
/** That are sent to at once. */
const AT_ONCE = 64;
/** Of so many, one is read at the end. */
const READ_EACH = 100;

/**
 * Mailboxes of clients that are not connected: each holds the result of one event, which came by a request. What they take of
 * the processes of Waybill, once garbage is collected, and of the disk. Resolves with what is against the promise.
 */
export function measureMailboxes(run: ClientsRun): Promise<string[]> {
  const { database, count } = run;
  return withStoredWaybill(run, {}, async (waybill) => {
    const [url = ''] = waybill.urls;
    const pool = new Pool(url, { connections: AT_ONCE });
    const held = async () => ({ ...(await heldBytes(waybill)), disk: await database.bytes() });
    const before: Record<string, number> = await held();
    const startMs = performance.now();
    const faults = [...(await fill(pool, count)), ...(await readSome(pool, count))];
    const seconds = (performance.now() - startMs) / 1_000;
    const after: Record<string, number> = await held();
    await pool.close();

    const rows = Object.entries(after).map(
      ([name, bytes]) => [name, bytes, bytes - (before[name] ?? 0)] as const,
    );
    const allBytes = sum(Object.values(after));
    const all = ['all', allBytes, allBytes - sum(Object.values(before))] as const;
    const cells = [...rows, all].map(([name, bytes, more]) => [
      name,
      (bytes / 1024 ** 2).toFixed(0),
      (more / 1024 ** 2).toFixed(0),
      (more / count / 1024).toFixed(2),
    ]);
    console.log(toTable([`${count} mailboxes`, 'MB', 'MB more', 'kB each'], cells));
    console.log(`filled in ${seconds.toFixed(0)} s`);
    return allBytes > MAX_BYTES ? [...faults, 'more than 1 GB in all'] : faults;
  });
}

/** What each kind of process holds. */
async function heldBytes({ processes }: Waybill): Promise<Record<string, number>> {
  const bytes: Record<string, number> = {};
  for (const each of processes) bytes[each.name] = (bytes[each.name] ?? 0) + (await askUsage(each)).rssBytes;
  return bytes;
}

const pathOf = (index: number) => `/clients/mailbox-${index}`;

/** Sends an event of each client; resolves with what was refused. */
async function fill(pool: Pool, count: number): Promise<string[]> {
  const refused: string[] = [];
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ id: '0', type: 'PingRequest', data: { sentAt: 1 } });
  await inParallel(count, AT_ONCE, async (index) => {
    const answer = await pool.request({ method: 'POST', path: `${pathOf(index)}/events`, headers, body });
    const text = await answer.body.text();
    if (answer.statusCode !== 202) refused.push(`${pathOf(index)}: ${answer.statusCode} ${text}`);
  });
  return refused;
}

/** Resolves with what some of them should not hold, or lack. */
async function readSome(pool: Pool, count: number): Promise<string[]> {
  const wrong: string[] = [];
  await inParallel(Math.ceil(count / READ_EACH), AT_ONCE, async (turn) => {
    const path = pathOf(turn * READ_EACH);
    const headers = { prefer: 'wait=30' };
    const answer = await pool.request({ method: 'GET', path: `${path}/mailbox`, headers });
    const check = createAnswerCheck(path);
    for (const message of (await answer.body.json()) as Message[]) check.take(message);
    wrong.push(...check.wrong, ...(check.told.length === 1 ? [] : [`${path}: ${check.told.length} results`]));
  });
  return wrong;
}
