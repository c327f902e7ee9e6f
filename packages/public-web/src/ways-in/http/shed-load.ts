/**
 * Turns requests away while the event loop cannot keep up: before their bodies are read, so that refusing is cheap
 * and what was accepted before is answered.
 *
 * This is the last line. MAX_PARKED bounds what waits for replies, and rate limits bound each client; neither sees a
 * processor that others use up, or requests that are dear to read. It turns away all or none, a second at a time, so
 * the bound must lie far above what mere saturation makes: on 2 cores shared with dispatcher and clients the mean delay
 * was up to 10 ms at 256 connections, 70 at 1,000 and 160 at 4,000; with a bound of 50 ms, 4,000 connections got a
 * fifth of the answers that they got without.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyInstance } from 'fastify';

/** Over which the delay is averaged. A stall as long as this counts as overload too, so it must be none of every day. */
const SAMPLE_MS = 2_000;
const RESOLUTION_MS = 10;

/**
 * From here on the routes of `app` answer 503 `not-accepted` for two seconds after two in which the event loop was
 * late by more than `maxEventLoopDelayMs` on average.
 *
 * Own code: what `@fastify/under-pressure` reads besides (`process.memoryUsage`) opens a file, which ends the process
 * once it has no file descriptor left.
 */
export function shedLoad(
  app: FastifyInstance,
  { maxEventLoopDelayMs }: { maxEventLoopDelayMs: number },
): void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  let isOverloaded = false;
  const timer = setInterval(() => {
    // In nanoseconds, the resolution included; NaN when there was no sample at all.
    isOverloaded = delay.mean / 1e6 - RESOLUTION_MS > maxEventLoopDelayMs;
    delay.reset();
  }, SAMPLE_MS).unref();

  app.addHook('onRequest', (_request, _reply, done) => done(isOverloaded ? overloaded : undefined));
  app.addHook('onClose', (_app, done) => {
    clearInterval(timer);
    delay.disable();
    done();
  });
}

/** One for all, so that no request costs a stack trace. */
const overloaded = new AppError('not-accepted', 'this instance is overloaded');
