/**
 * How long a process that was told to stop takes for what. The bounds add up to less than the deadline: `DRAIN_MS`,
 * `FINISH_MS`, two seconds for the logs (`telemetry/logging.ts`) and half a second for the reader of stdout.
 */

/** docs/reliability.md: SIGTERM exits 0 within 10 s. */
export const SHUTDOWN_DEADLINE_MS = 10_000;

/** How long work under way is waited for. */
export const DRAIN_MS = 5_000;

/** How long connections, the ports that are left, and telemetry may take to close after that, all at once. */
export const FINISH_MS = 1_500;

/** How long what is left after the drain is waited for when its connection closes. */
export const CLOSE_MS = 1_000;
