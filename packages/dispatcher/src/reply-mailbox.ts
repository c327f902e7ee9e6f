/**
 * Delivers replies to a store, which keeps them until their client fetches them: a reply is delivered when the store has it
 * on disk. Then the instance that holds the client's connection is told, in passing: one that is not told looks by itself.
 */
import { type EncodedEvent, encodeBatch } from '@waybill/common/event/event-json.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { TierAnswer } from '@waybill/common/internal-call/call-tier.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';
import { isBodyAtFault } from '@waybill/common/problem.ts';
import { batchSize } from '@waybill/common/telemetry/metrics.ts';
import type { Logger } from 'pino';
import type { Deliverer, DeliveryOutcome } from './deliverer.ts';
import type { SentBatch } from './lane.ts';
import { createLanes } from './lanes.ts';
import type { Pushes } from './pushes.ts';

/** Creates the {@link Deliverer} of addresses of the kind `mailbox`. */
export function createReplyMailbox({
  store,
  pushes,
  log,
}: {
  store: CallStore;
  pushes: Pushes;
  log: Logger;
}): Deliverer {
  const lanes = createLanes({ keyOf: () => 'store', open: () => ({ fields: { to: 'store' }, send }), log });

  async function send(replies: EncodedEvent[]): Promise<SentBatch> {
    batchSize.record(replies.length, { hop: 'store' });
    const parse = (body: string) => toResults(body, replies.length);
    const answer = await store.call({ path: '/append', body: encodeBatch(replies), parse });
    if (answer.kind === 'answered') tellHolders(replies, answer.answer);
    return toSentBatch(answer, replies);
  }

  function tellHolders(replies: EncodedEvent[], results: AppendResult[]): void {
    for (const [index, reply] of replies.entries()) {
      const push = results[index]?.push;
      if (push) pushes.push(push, reply);
    }
  }

  return {
    deliver: lanes.deliver,
    async close() {
      lanes.close();
      await Promise.all([store.close(), pushes.close()]);
    },
  };
}

function toSentBatch(answer: TierAnswer<AppendResult[]>, replies: EncodedEvent[]): SentBatch {
  if (answer.kind === 'failed')
    return { outcomes: replies.map(() => 'failing'), reason: answer.error.message };
  if (answer.kind === 'answered')
    return {
      outcomes: answer.answer.map(({ outcome }) => (outcome === 'gone' ? 'gone' : 'delivered')),
      reason: 'it answered 200',
    };
  const { status, problem } = answer;
  const outcome: DeliveryOutcome = isBodyAtFault(status, problem.code) ? 'refused' : 'failing';
  return { outcomes: replies.map(() => outcome), reason: `it answered ${status}` };
}

function toResults(body: string, count: number): AppendResult[] {
  const { results } = JSON.parse(body) as { results?: AppendResult[] };
  if (!Array.isArray(results) || results.length !== count)
    throw new Error('the answer is not that of a store');
  return results;
}
