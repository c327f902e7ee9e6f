/**
 * Tells holders of mailboxes what has come, by calls of their `/push`. A push is worth a moment: it is tried once, and
 * a holder that misses it finds what it was about in the store.
 */
import { type EncodedEvent, encodeBatch, exactEvent } from '@waybill/common/event/event-json.ts';
import { createCallTier } from '@waybill/common/internal-call/call-tier.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';
import type { AppendResult } from '@waybill/common/internal-call/store-calls.ts';
import type { Logger } from 'pino';
import { Agent } from 'undici';
import { createLanes, MAX_CALLS_PER_ADDRESS, type Target } from './lanes.ts';

const CALL_TIMEOUT_MS = 1_000;
/** How long the lanes to a holder are kept without a push. */
const REMEMBERED_MS = 60_000;

export type Pushes = {
  /** Tells a holder of `reply`, now or never. */
  push(push: NonNullable<AppendResult['push']>, reply: EncodedEvent): void;
  close(): Promise<void>;
};

/** Creates {@link Pushes}. */
export function createPushes({ keys, clock, log }: { keys: Key[]; clock: ClockCheck; log: Logger }): Pushes {
  const callTier = createCallTier({ keys, clock });
  const connections = new Agent({
    connections: MAX_CALLS_PER_ADDRESS,
    connect: { timeout: CALL_TIMEOUT_MS },
  });
  const lanes = createLanes({ keyOf: ({ instance, url }) => `${instance} ${url}`, open, log });

  function open({ url }: ReplyAddress): Target {
    const { origin, pathname: path, href } = new URL(String(url));
    return {
      fields: { url: href },
      async send(pushed) {
        const body = encodeBatch(pushed);
        const call = { connections, origin, path, body, contentType: 'application/json' };
        const answer = await callTier({ ...call, timeoutMs: CALL_TIMEOUT_MS, parse: JSON.parse });
        // A holder that is another instance by now answers, and has lost nothing.
        const outcome = answer.kind === 'failed' ? 'failing' : 'delivered';
        return { outcomes: pushed.map(() => outcome), reason: answer.kind };
      },
    };
  }

  return {
    push({ holder, ...position }, reply) {
      const { instance, url } = holder;
      const { event } = reply;
      const address = { kind: 'holder', instance, url, expMs: Date.now() + REMEMBERED_MS };
      const shown = position.offset === undefined ? undefined : { ...exactEvent(reply), replyto: undefined };
      const json = JSON.stringify({ instance, ...position, event: shown });
      void lanes.deliver(address, { event, json, bytes: Buffer.byteLength(json) });
    },
    async close() {
      lanes.close();
      await connections.close();
    },
  };
}
