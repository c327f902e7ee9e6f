import type { FastifyRequest } from 'fastify';
import type { ClockCheck } from './clock-check.ts';
import { clockSkewMs, type VerifiedHead, verifyHead, verifyRest } from './http-signature.ts';
import type { Key } from './internal-keys.ts';

/** Of calls whose body is still to come, so that no signature is computed twice. */
const heads = new WeakMap<FastifyRequest, VerifiedHead>();

/**
 * A hook for `onRequest`: has a call that is not signed with one of `keys` answered before its body is read. A stranger's
 * bodies would otherwise take memory, up to the limit of a body for each connection.
 */
export function refuseUnsigned(keys: Key[]) {
  return async (request: FastifyRequest): Promise<void> => {
    heads.set(request, headOf(request, keys));
  };
}

/**
 * The body of an internal call that is signed with one of `keys`.
 *
 * @throws AppError `unauthorized` when it is not.
 */
export function verifyCall(
  request: FastifyRequest,
  { keys, clock }: { keys: Key[]; clock: ClockCheck },
): Buffer {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  try {
    verifyRest(heads.get(request) ?? headOf(request, keys), body);
  } catch (error) {
    // Only ahead: one that is late may be a recorded call that is played again, and says nothing about clocks.
    const skewMs = clockSkewMs(error) ?? 0;
    if (skewMs > 0) clock.differs(skewMs);
    throw error;
  }
  clock.agrees();
  return body;
}

function headOf({ method, url: path, headers }: FastifyRequest, keys: Key[]): VerifiedHead {
  return verifyHead({ method, path, headers, keys });
}
