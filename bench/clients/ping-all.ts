import { eventually } from '@waybill/test-harness/eventually.ts';
import type { StayingClient } from './staying-client.ts';

/** How long answers may take. */
export const ANSWERED_MS = 60_000;
/** So many send, and others when these are answered: all at once would wait too long for a dispatcher, and be refused. */
const AT_ONCE = 100;

/** Has each send one event; resolves when all have all their answers, or the time for that is over. */
export async function pingAll(clients: readonly StayingClient[]): Promise<void> {
  for (let start = 0; start < clients.length; start += AT_ONCE) {
    const some = clients.slice(start, start + AT_ONCE);
    for (const client of some) client.send();
    const options = { timeoutMs: ANSWERED_MS, intervalMs: 10 };
    if (!(await eventually(() => expectAnswers(some), options).catch(() => false))) return;
  }
}

function expectAnswers(clients: readonly StayingClient[]): true {
  if (clients.some(isWaiting)) throw new Error('some are not answered yet');
  return true;
}

function isWaiting({ sent, answers }: StayingClient): boolean {
  return answers.told.length < sent.length;
}

/** What a client was told wrongly, or not at all. */
export function faultsOf(client: StayingClient): string[] {
  const { sent, answers } = client;
  const missing = isWaiting(client) ? [`${sent.length - answers.told.length} events without an answer`] : [];
  return [...answers.wrong, ...missing];
}
