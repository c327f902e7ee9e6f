import { eventually } from '@waybill/test-harness/eventually.ts';
import type { RunningSystem } from './systems.ts';
import { PING } from './wrk.ts';

/** How long a system has until it answers for the first time, on a machine that starts all of them. */
export const START_MS = 60_000;

/** Resolves when a system answers a ping as all must. Rejects when it does not within 60 s. */
export async function answering({ urls }: RunningSystem): Promise<void> {
  await eventually(() => Promise.all(urls.map(expectPong)), { timeoutMs: START_MS, intervalMs: 200 }).catch(
    (cause) => {
      throw new Error(`does not answer as it must: ${cause.message}`, { cause });
    },
  );
}

/** Resolves when a public-web answers a ping as all must. */
export async function expectPong(url: string): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: PING,
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  const { type, data } = response.status === 200 ? JSON.parse(text) : {};
  if (type !== 'PingResponse' || data?.sentAt !== 1 || !(data?.receivedAt > 0))
    throw new Error(`${response.status} ${text}`);
}
