/**
 * Batches what is there: no timer, no added latency when quiet, larger batches as load grows.
 *
 * While few sends are under way, what arrives within one turn of the event loop goes together. After that whatever arrives
 * waits for the end of one of them, or until it fills a batch; full batches may be on their way up to `maxInFlight`. The
 * queue is bounded, and so may be the wait.
 */
import { AppError } from './errors.ts';

const MAX_QUEUED_BYTES = 64 * 1024 * 1024;

export type BatcherOptions<Item, Result> = {
  /** Most items in one batch. */
  maxItems: number;
  /** Most bytes in one batch, unless one item alone is larger. */
  maxBytes: number;
  /** Most sends under way at once; asked each time, because the number of receivers may change. */
  maxInFlight(): number;
  /**
   * Most sends under way beside which a batch goes that is not full: what a send costs is paid for few items then. Asked each
   * time. Default: as many as `maxInFlight`.
   */
  maxPartialInFlight?(): number;
  /** Most items waiting; one more is refused. */
  maxQueued: number;
  /** Most bytes waiting (default 64 MiB); more are refused. */
  maxQueuedBytes?: number;
  /**
   * Longest wait for a turn; then an item is refused. More are refused at once that would wait too long as well: when the oldest
   * has waited half as long, and either nothing has had a turn for a quarter, or at the pace at which the oldest came forward they
   * had none in time; and when nothing waits and nothing has had a turn for all that time. Default: no limit.
   */
  maxWaitMs?: number;
  /** Sends one batch. Resolves with a result per item, in order; a rejection is the outcome of every item. */
  send(items: Item[]): Promise<readonly Result[]>;
  /** Called when nothing waits and nothing is under way any more. */
  onIdle?(): void;
};

export type Batcher<Item, Result> = {
  /**
   * Adds an item; resolves or rejects with its own outcome.
   *
   * @param isCancelled asked when the item's turn comes: a cancelled item is not sent and resolves `undefined`.
   * @throws AppError (as a rejection) `not-accepted` when the queue is full or the wait too long; nothing was sent.
   */
  add(item: Item, bytes: number): Promise<Result>;
  add(item: Item, bytes: number, isCancelled: (() => boolean) | undefined): Promise<Result | undefined>;
  /** Items waiting for their turn. */
  queued(): number;
  /** Whether nothing waits and nothing is under way. */
  isIdle(): boolean;
  /** Looks again whether a batch may go: to be called when `maxInFlight` or `maxPartialInFlight` has risen by itself. */
  wake(): void;
};

type Waiting<Item, Result> = {
  item: Item;
  bytes: number;
  addedMs: number;
  /** How many had had their turn by then. */
  turnsBefore: number;
  isCancelled: (() => boolean) | undefined;
  resolve(result: Result): void;
  reject(error: unknown): void;
};

/** Creates a {@link Batcher}. */
export function createBatcher<Item, Result>(options: BatcherOptions<Item, Result>): Batcher<Item, Result> {
  const queue: Waiting<Item, Result>[] = [];
  const { maxQueuedBytes = MAX_QUEUED_BYTES, maxWaitMs = Number.POSITIVE_INFINITY } = options;
  const { maxPartialInFlight = options.maxInFlight } = options;
  let queuedBytes = 0;
  let inFlight = 0;
  let isScheduled = false;
  let lastTurnMs = 0;
  let turns = 0;
  let waitTimer: NodeJS.Timeout | undefined;

  /** Whether the next batch may go. */
  function hasTurn(): boolean {
    const isFull = queue.length >= options.maxItems || queuedBytes >= options.maxBytes;
    return inFlight < (isFull ? options.maxInFlight() : maxPartialInFlight());
  }

  function schedule(): void {
    if (isScheduled) return;
    if (!hasTurn()) {
      watchWaits();
      return;
    }
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      flush();
    });
  }

  function flush(): void {
    while (queue.length > 0 && hasTurn()) {
      const batch = take();
      if (batch.length > 0) void send(batch);
    }
    watchWaits();
    if (isIdle()) options.onIdle?.();
  }

  const isIdle = () => queue.length === 0 && inFlight === 0;

  function refuse(message: string): Promise<never> {
    if (isIdle()) options.onIdle?.();
    return Promise.reject(new AppError('not-accepted', message));
  }

  /** Whether what comes now would wait too long. */
  function isBehind(): boolean {
    if (hasTurn()) return false;
    const [oldest] = queue;
    const nowMs = performance.now();
    const stuckMs = nowMs - lastTurnMs;
    if (!oldest) return stuckMs >= maxWaitMs;
    const waitedMs = nowMs - oldest.addedMs;
    if (waitedMs < maxWaitMs / 2) return false;
    return stuckMs >= maxWaitMs / 4 || waitedMs * queue.length >= maxWaitMs * (turns - oldest.turnsBefore);
  }

  /** A timer only while something waits for sends under way. */
  function watchWaits(): void {
    const [oldest] = queue;
    if (oldest === undefined || waitTimer || !Number.isFinite(maxWaitMs)) return;
    const restMs = oldest.addedMs + maxWaitMs - performance.now();
    waitTimer = setTimeout(
      () => {
        waitTimer = undefined;
        refuseLate();
        watchWaits();
      },
      Math.max(restMs, 0) + 1, // timers fire up to 1 ms early
    );
    waitTimer.unref();
  }

  function refuseLate(): void {
    const latestMs = performance.now() - maxWaitMs;
    const onTime = queue.findIndex(({ addedMs }) => addedMs > latestMs);
    for (const late of queue.splice(0, onTime === -1 ? queue.length : onTime)) {
      queuedBytes -= late.bytes;
      late.reject(new AppError('not-accepted', `the event had no turn within ${maxWaitMs} ms`));
    }
  }

  function take(): Waiting<Item, Result>[] {
    const batch: Waiting<Item, Result>[] = [];
    let bytes = 0;
    let taken = 0;
    for (const waiting of queue) {
      const isFull = batch.length >= options.maxItems || bytes + waiting.bytes > options.maxBytes;
      if (isFull && batch.length > 0) break;
      taken += 1;
      queuedBytes -= waiting.bytes;
      // `undefined` only to those who may cancel.
      if (waiting.isCancelled?.()) waiting.resolve(undefined as Result);
      else {
        batch.push(waiting);
        bytes += waiting.bytes;
      }
    }
    queue.splice(0, taken);
    turns += taken;
    lastTurnMs = performance.now();
    return batch;
  }

  async function send(batch: Waiting<Item, Result>[]): Promise<void> {
    inFlight += 1;
    try {
      const results = await options.send(batch.map(({ item }) => item));
      batch.forEach((waiting, index) => {
        waiting.resolve(results[index] as Result);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    } finally {
      inFlight -= 1;
      flush();
    }
  }

  return {
    add(item: Item, bytes: number, isCancelled?: () => boolean): Promise<Result> {
      if (queue.length >= options.maxQueued || queuedBytes + bytes > maxQueuedBytes)
        return refuse('too many events are waiting to be sent');
      if (isBehind()) return refuse('events wait too long to be sent');
      return new Promise<Result>((resolve, reject) => {
        const addedMs = performance.now();
        queue.push({ item, bytes, addedMs, turnsBefore: turns, isCancelled, resolve, reject });
        queuedBytes += bytes;
        schedule();
      });
    },
    queued: () => queue.length,
    isIdle,
    wake() {
      if (queue.length > 0) schedule();
    },
  };
}

/** One {@link Batcher} per key, made when first needed and forgotten when idle. The bounds are per key. */
export type KeyedBatcher<Item, Result> = {
  /** As {@link Batcher.add}, on the batcher of `key`. */
  add(key: string, item: Item, bytes: number): Promise<Result>;
  add(
    key: string,
    item: Item,
    bytes: number,
    isCancelled: (() => boolean) | undefined,
  ): Promise<Result | undefined>;
  /** As {@link Batcher.wake}, on all of them. */
  wake(): void;
};

/** Creates a {@link KeyedBatcher}; `send` is given the key of the batch; `maxItemsFor` may lower `maxItems` for a key. */
export function createKeyedBatcher<Item, Result>({
  send,
  maxItemsFor,
  ...options
}: Omit<BatcherOptions<Item, Result>, 'send' | 'onIdle'> & {
  send(key: string, items: Item[]): Promise<readonly Result[]>;
  maxItemsFor?(key: string): number | undefined;
}): KeyedBatcher<Item, Result> {
  const batchers = new Map<string, Batcher<Item, Result>>();

  function batcherFor(key: string): Batcher<Item, Result> {
    const existing = batchers.get(key);
    if (existing) return existing;
    const batcher: Batcher<Item, Result> = createBatcher({
      ...options,
      maxItems: maxItemsFor?.(key) ?? options.maxItems,
      send: (items) => send(key, items),
      onIdle() {
        if (batchers.get(key) === batcher) batchers.delete(key);
      },
    });
    batchers.set(key, batcher);
    return batcher;
  }

  return {
    add: (key: string, item: Item, bytes: number, isCancelled?: () => boolean) =>
      batcherFor(key).add(item, bytes, isCancelled) as Promise<Result>,
    wake() {
      for (const batcher of batchers.values()) batcher.wake();
    },
  };
}
