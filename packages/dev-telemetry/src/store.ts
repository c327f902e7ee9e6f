/**
 * The last traces, in memory. What belongs to one trace is kept, and forgotten, together: its spans and its log lines.
 *
 * Everything is held as JSON text, a fraction of the size of the objects, whose length is therefore known.
 */

/** What a trace is made of. */
export type SignalOfTrace = 'spans' | 'logs';

export type TraceStore = {
  /**
   * Keeps `json` with trace `traceId` (32 hex digits). Forgets the traces that began first to make room.
   *
   * @returns false if that trace alone would take more than an eighth of the room; the item is then not kept.
   */
  add(traceId: string, signal: SignalOfTrace, json: string): boolean;
  /** All items of one trace in the order of their arrival, parsed; none for a trace that is not (or no longer) known. */
  read(traceId: string, signal: SignalOfTrace): unknown[];
  /** The ids of all, that which was first heard of last first. */
  newestFirst(): string[];
};

/** Creates an empty store. @param maxBytes most JSON it keeps, in Latin characters. */
export function createTraceStore({ maxBytes }: { maxBytes: number }): TraceStore {
  /** In the order in which the traces were first heard of. */
  const traces = new Map<string, KeptTrace>();
  let bytes = 0;

  function forgetOldest(): void {
    for (const [traceId, trace] of traces) {
      if (bytes <= maxBytes) return;
      traces.delete(traceId);
      bytes -= trace.bytes;
    }
  }

  return {
    add(traceId, signal, json) {
      const trace = traces.get(traceId) ?? { spans: [], logs: [], bytes: 0 };
      const size = json.length + OVERHEAD_BYTES;
      if (trace.bytes + size > maxBytes / 8) return false;
      trace[signal].push(json);
      trace.bytes += size;
      bytes += size;
      traces.set(traceId, trace);
      forgetOldest();
      return true;
    },
    read: (traceId, signal) => traces.get(traceId)?.[signal].map((json) => JSON.parse(json)) ?? [],
    newestFirst: () => [...traces.keys()].reverse(),
  };
}

type KeptTrace = Record<SignalOfTrace, string[]> & { bytes: number };

/** What the runtime adds to a string, roughly; without it, many tiny items would take far more than their text. */
const OVERHEAD_BYTES = 128;
