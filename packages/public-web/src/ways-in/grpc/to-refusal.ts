import { status } from '@grpc/grpc-js';
import type { AppError, ErrorCode } from '@waybill/common/errors.ts';
import type { CallRefusal } from '@waybill/common/grpc/grpc-bounds.ts';

const CODES: Partial<Record<ErrorCode, status>> = {
  'invalid-request': status.INVALID_ARGUMENT,
  unauthorized: status.UNAUTHENTICATED,
  forbidden: status.PERMISSION_DENIED,
  'rate-limited': status.RESOURCE_EXHAUSTED,
  'mailbox-full': status.RESOURCE_EXHAUSTED,
  'not-accepted': status.UNAVAILABLE,
};

/** What a call ends with that fails with an error as a whole. */
export function toRefusal({ code, message }: AppError): CallRefusal {
  return { code: CODES[code] ?? status.INTERNAL, details: message };
}
