import type { CloudEvent } from '@waybill/common/event/event.ts';

/** Takes events whose type is bound to the service's queue by another version of it. Retried: a rolling deploy may be under way. */
export function noHandler({ type }: CloudEvent): never {
  throw new NoHandlerError(type);
}

export class NoHandlerError extends Error {
  readonly code = 'no-handler';

  constructor(type: string) {
    super(`no handler takes ${type}`);
    this.name = 'NoHandlerError';
  }
}
