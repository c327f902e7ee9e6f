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
import underPressure from '@fastify/under-pressure';
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyInstance } from 'fastify';

/** Over which the delay is averaged. A stall as long as this counts as overload too, so it must be none of every day. */
const SAMPLE_MS = 2_000;

/**
 * From here on the routes of `app` answer 503 `not-accepted` for two seconds after two in which the event loop was
 * late by more than `maxEventLoopDelayMs` on average.
 */
export async function shedLoad(
  app: FastifyInstance,
  { maxEventLoopDelayMs }: { maxEventLoopDelayMs: number },
): Promise<void> {
  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMs,
    sampleInterval: SAMPLE_MS,
    customError: Overloaded,
  });
}

/** The plugin makes one and throws it each time, so that no request costs a stack trace. */
class Overloaded extends AppError {
  constructor() {
    super('not-accepted', 'this instance is overloaded');
  }
}
