import { AppError } from '@waybill/common/errors.ts';

/** @throws AppError `unroutable` when clients may not send events of `type`. */
export function assertPublicType(type: string, isPublicType: (type: string) => boolean): void {
  if (!isPublicType(type))
    throw new AppError(
      'unroutable',
      `clients may not send events of type ${type} (setting PUBLIC_EVENT_TYPES)`,
    );
}
