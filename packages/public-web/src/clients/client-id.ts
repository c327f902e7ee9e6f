import { AppError } from '@waybill/common/errors.ts';

/** @throws AppError `invalid-request` for what is no name of a client. */
export function assertClientId(client: string): void {
  if (!/^[\w.:-]{1,128}$/.test(client))
    throw new AppError('invalid-request', 'a client id has 1 to 128 letters, digits, and _ . : -');
}
