/**
 * What both ways to a client have in common: batches from a source, in order, into a sink.
 */

/** A batch of a dataset as it is sent. */
export type Batch = {
  /** From 0. */
  index: number;
  isLast: boolean;
  /** The samples as base64 text, which is ASCII. */
  base64: Buffer;
};

/** Reads one batch. Rejects when there is none, or when `signal` aborts. */
export type ReadBatch = (index: number, signal: AbortSignal) => Promise<Batch>;

/** Where batches go. */
export type Sink = {
  /** Takes the next batch; resolves when there is room for another. Rejects when the client cannot be reached any more. */
  send(batch: Batch): Promise<void>;
  /** Resolves when everything that was sent has arrived. */
  flush(): Promise<void>;
};

/**
 * Sends batches from index `from` until the last one, or until `isOver` (asked after each batch, with how many were
 * sent) says to stop. Resolves with the index to go on at, or undefined after the last.
 *
 * What was sent has arrived then, and also when it rejects because the source failed.
 */
export async function streamBatches({
  read,
  sink,
  from,
  isOver,
  signal,
}: {
  read: ReadBatch;
  sink: Sink;
  from: number;
  isOver(sent: number): boolean;
  signal: AbortSignal;
}): Promise<number | undefined> {
  for (let index = from; ; index += 1) {
    signal.throwIfAborted();
    const batch = await readOrFlush(index);
    await sink.send(batch);
    if (!batch.isLast && !isOver(index + 1 - from)) continue;
    await sink.flush();
    return batch.isLast ? undefined : index + 1;
  }
  async function readOrFlush(index: number): Promise<Batch> {
    try {
      return await read(index, signal);
    } catch (error) {
      await sink.flush();
      throw error;
    }
  }
}
