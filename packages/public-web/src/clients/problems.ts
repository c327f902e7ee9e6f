import { createBatcher } from '@waybill/common/batch.ts';
import { HTTP_MAX_EVENTS, MAX_BATCH_BYTES } from '@waybill/common/batch-limits.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EncodedEvent, encodeBatch, encodeEvent } from '@waybill/common/event/event-json.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';

const MAX_IN_FLIGHT = 2;
/** What finds no room is tried again by its session. */
const MAX_QUEUED = 10_000;

/** Appends a problem to a mailbox; resolves once it is on disk, rejects when no store answers. */
export type AppendProblem = (problem: CloudEvent) => Promise<AppendResult>;

/** Creates {@link AppendProblem}. */
export function createAppendProblem({ store }: { store: Pick<CallStore, 'call'> }): AppendProblem {
  const batcher = createBatcher<EncodedEvent, AppendResult>({
    maxItems: HTTP_MAX_EVENTS,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_IN_FLIGHT,
    maxQueued: MAX_QUEUED,
    async send(problems) {
      const body = encodeBatch(problems);
      const answer = await store.call({ path: '/append', body, parse: toResults });
      if (answer.kind !== 'answered') throw new Error('no store answers');
      return answer.answer;
    },
  });
  return async (problem) => {
    const encoded = encodeEvent(problem);
    return (await batcher.add(encoded, encoded.bytes)) ?? { outcome: 'gone' };
  };
}

function toResults(body: string): AppendResult[] {
  return (JSON.parse(body) as { results: AppendResult[] }).results;
}
