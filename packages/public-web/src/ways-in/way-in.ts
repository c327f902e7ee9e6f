/** A way in: a transport that strangers reach, on a port of its own, thin before the core. */
export type WayIn = {
  /** The port it listens on, which the system chose when the setting was 0. */
  port: number | undefined;
  /** Takes no more work, and resolves once what is under way is answered; what is not after `DRAIN_MS` is cut off. */
  drain(): Promise<unknown>;
  /** Cuts off whatever is left. */
  close(): Promise<unknown>;
};
