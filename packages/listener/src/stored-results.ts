import { createHash } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import { parseForwardedJson } from '@waybill/common/event/event-json.ts';
import type { CallStore } from '@waybill/common/internal-call/call-store.ts';
import type { TierAnswer } from '@waybill/common/internal-call/call-tier.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { RESULTS_PATH, type ReadValue, type ResultCall } from '@waybill/common/internal-call/store-calls.ts';
import { loadResultsConfig } from './config.ts';
import type { HandlerResult } from './handler.ts';
import type { ResultStore } from './result-store.ts';

export type StoredResultsOptions = {
  /** Names the handler: what shares a name shares results, over services as well. */
  name: string;
  /** How long a result is kept: a whole number of milliseconds from 1 up (default 600,000). */
  windowMs?: number;
  /** Stores at one database, and what they know listeners by; default: the settings STORE_URLS and RESULTS_SECRETS. */
  stores?: { urls: readonly string[]; secrets: string[] };
};

export type StoredResults = ResultStore & {
  /** Ends its connections, once the calls under way are answered. What ends its process need not close it. */
  close(): Promise<void>;
};

/**
 * Creates a {@link ResultStore} in Waybill's store tier, for all processes that have this name in it, and over their ends. A call
 * is given up after 3 s for each store: then an attempt fails before its handler runs, or a result is not remembered. So it is where there is
 * no more room for results of this name (KEPT_VALUES_MAX_OWNER_BYTES of the store). One of more than 2.5 MB is not remembered, either.
 *
 * @throws AppError `invalid-config` when a setting that is needed is missing or wrong.
 *
 * @example
 * const store = createStoredResults({ name: 'cards.OrderPlaced' });
 * await runListener({ service: 'cards', handlers: { OrderPlaced: oncePerEvent(chargeCard, { store }) } });
 */
export function createStoredResults({
  name,
  windowMs = 600_000,
  stores = loadResultsConfig(),
}: StoredResultsOptions): StoredResults {
  // JSON has no Infinity: with null in its place nothing would be remembered.
  if (!Number.isSafeInteger(windowMs) || windowMs < 1)
    throw new AppError(
      'invalid-config',
      `windowMs is no whole number of milliseconds from 1 up: ${windowMs}`,
    );
  const { call, close } = createCall(stores);
  const idOf = (key: string) =>
    createHash('sha256')
      .update(JSON.stringify([name, key]))
      .digest('base64url');
  return {
    async get(key) {
      const { value } = await call({ call: 'read-result', key: idOf(key), owner: name });
      return value === undefined ? undefined : (parseForwardedJson(Buffer.from(value)) as HandlerResult);
    },
    async set(key, result) {
      await call({
        call: 'keep-result',
        key: idOf(key),
        owner: name,
        value: JSON.stringify(result),
        keepMs: windowMs,
      });
    },
    close,
  };
}

/** Creates what makes calls of a store; one throws `not-accepted` when none answers. */
function createCall({ urls, secrets }: NonNullable<StoredResultsOptions['stores']>) {
  const keys = deriveInternalKeys(secrets).call;
  let store: Promise<CallStore> | undefined;

  /** Listeners without it load no HTTP client. */
  async function connect(): Promise<CallStore> {
    const { createCallStore } = await import('@waybill/common/internal-call/call-store.ts');
    return createCallStore({ urls, keys, clock: createClockCheck() });
  }

  return {
    async call(call: ResultCall): Promise<ReadValue> {
      store ??= connect();
      const answer = await (await store).call<ReadValue>({
        path: RESULTS_PATH,
        body: Buffer.from(JSON.stringify(call)),
        contentType: 'application/json',
        parse: JSON.parse,
      });
      if (answer.kind === 'answered') return answer.answer;
      throw new AppError('not-accepted', `no store takes results of events: ${reasonOf(answer)}`);
    },
    async close() {
      await (await store)?.close();
    },
  };
}

function reasonOf(answer: Exclude<TierAnswer<unknown>, { kind: 'answered' }>): string {
  if (answer.kind === 'failed') return answer.error.message;
  const { status, problem } = answer;
  return problem.code === undefined ? `it answered ${status}` : `it answered ${status} ${problem.code}`;
}
