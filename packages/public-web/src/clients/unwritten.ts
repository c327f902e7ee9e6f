/** What was handed to the clients of one instance and has not left for them yet: all of it is memory that strangers can hold. */

/** Of all clients. From here on a client is handed no more until all that it was handed has left, and then one entry. */
const MAX_BYTES = 64 * 1024 * 1024;

/** The part of one client. */
export type ClientUnwritten = {
  /** Counts bytes in; what it returns counts them out, once, and then calls `onWritten`. */
  add(bytes: number, onWritten: () => void): () => void;
  bytes(): number;
  /** Counts out whatever is left: the connection has ended. */
  close(): void;
};

export type Unwritten = { open(): ClientUnwritten; hasRoom(): boolean };

/** Creates {@link Unwritten}. */
export function createUnwritten({ maxBytes = MAX_BYTES }: { maxBytes?: number } = {}): Unwritten {
  let allBytes = 0;
  return {
    hasRoom: () => allBytes < maxBytes,
    open() {
      let ownBytes = 0;
      let isClosed = false;
      const count = (bytes: number) => {
        if (isClosed) return;
        ownBytes += bytes;
        allBytes += bytes;
      };
      return {
        add(bytes, onWritten) {
          count(bytes);
          let isWritten = false;
          return () => {
            if (isWritten) return;
            isWritten = true;
            count(-bytes);
            onWritten();
          };
        },
        bytes: () => ownBytes,
        close() {
          count(-ownBytes);
          isClosed = true;
        },
      };
    },
  };
}
