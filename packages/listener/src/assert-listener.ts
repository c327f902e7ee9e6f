import { RESERVED_SERVICES } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import { EVENT_TYPE_PATTERN } from '@waybill/common/event/event.ts';
import type { Handlers, Observers } from './handler.ts';
import { MAX_ORDERED_TIMEOUT_MS, MAX_TIMEOUT_MS, withDefaults } from './handler-options.ts';
import { isSchema } from './schema.ts';

/** @throws AppError `invalid-config` for a service or an event type that cannot be called so, or a time or schema that is none. */
export function assertListener(service: string, handlers: Handlers, observers: Observers): void {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(service))
    throw new AppError('invalid-config', `service ${service}: lower-case letters, digits and - only`);
  if (RESERVED_SERVICES.includes(service))
    throw new AppError('invalid-config', `service ${service}: its queue would be one of Waybill's own`);
  const entries = [...Object.entries(handlers), ...Object.entries(observers)];
  if (entries.length === 0)
    throw new AppError('invalid-config', `service ${service} handles and observes no event type`);
  const twice = Object.keys(handlers).find((type) => Object.hasOwn(observers, type));
  if (twice !== undefined)
    throw new AppError('invalid-config', `service ${service} handles and observes ${twice}`);
  for (const [type, handler] of entries) {
    if (!EVENT_TYPE_PATTERN.test(type))
      throw new AppError('invalid-config', `event type ${type} must match ${EVENT_TYPE_PATTERN.source}`);
    const { timeoutMs, schema, ordered } = withDefaults(handler as Handlers[string]);
    const maxTimeoutMs = ordered ? MAX_ORDERED_TIMEOUT_MS : MAX_TIMEOUT_MS;
    if (!(timeoutMs >= 1 && timeoutMs <= maxTimeoutMs))
      throw new AppError('invalid-config', `${type}: timeoutMs must be from 1 to ${maxTimeoutMs}`);
    if (ordered && Object.hasOwn(observers, type))
      throw new AppError('invalid-config', `${type}: an observer has no order`);
    if (schema !== undefined && !isSchema(schema))
      throw new AppError(
        'invalid-config',
        `${type}: schema follows no Standard Schema; a JSON Schema does by jsonSchema(…)`,
      );
  }
}
