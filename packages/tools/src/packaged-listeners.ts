/** The listeners that come with Waybill: those of the packages beside this one, in this repository or where it is installed. */
import { fileURLToPath } from 'node:url';
import { readPackagedListeners } from '../../../bin/plain/packaged-listeners.mjs';

export const packagedListeners = readPackagedListeners(fileURLToPath(new URL('../..', import.meta.url)));

/** The health port of each by the variable that changes it: `PING_LISTENER_HEALTH_PORT`. */
export const listenerPorts: Record<string, number> = Object.fromEntries(
  packagedListeners.map(({ name, healthPort }) => [portSettingOf(name), healthPort]),
);

export function portSettingOf(name: string): string {
  return `${name.replaceAll('-', '_').toUpperCase()}_HEALTH_PORT`;
}
