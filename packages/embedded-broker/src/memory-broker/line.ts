/** The way between a process and the broker, and what may happen to it. */
export type Faults = {
  /** Ends every connection; each comes back. */
  reset(): void;
  /** From now on the broker's answers, or all that is sent either way, vanish without a trace. Nobody is told. */
  silence(what: 'answers' | 'all'): void;
  /** Ends every connection, and none comes back. */
  refuse(): void;
  /** Mends it. Connections that were silent are ended, since what was lost on them is lost, and come back. */
  restore(): void;
};

export type Line = {
  faults: Faults;
  /** Whether somebody can connect by it; if not, `onOpen` is called when that may have changed. */
  isOpen(onOpen: () => void): boolean;
  carriesRequests(): boolean;
  carriesAnswers(): boolean;
  /** To be ended by a fault. Returns how to leave. */
  join(connection: { end(): void }): () => void;
};

/** Creates a {@link Line} that is whole. */
export function createLine(): Line {
  const connections = new Set<{ end(): void }>();
  const waiting = new Set<() => void>();
  let fault: 'answers' | 'all' | 'refuse' | undefined;

  function reset(): void {
    for (const connection of [...connections]) connection.end();
  }

  return {
    faults: {
      reset,
      silence(what) {
        fault = what;
      },
      refuse() {
        fault = 'refuse';
        reset();
      },
      restore() {
        fault = undefined;
        reset();
        for (const onOpen of waiting) setImmediate(onOpen);
        waiting.clear();
      },
    },
    isOpen(onOpen) {
      if (fault !== undefined) waiting.add(onOpen);
      return fault === undefined;
    },
    carriesRequests: () => fault !== 'all',
    carriesAnswers: () => fault === undefined,
    join(connection) {
      connections.add(connection);
      return () => void connections.delete(connection);
    },
  };
}
