/**
 * Who this process is: `handledby`, reply addresses and telemetry all name it by the same id, whether or not telemetry
 * is on. Read once from the standard OpenTelemetry variables and from the package of the main module; a program may name itself.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';

const given = parseResourceAttributes(process.env.OTEL_RESOURCE_ATTRIBUTES ?? '');
const mainPackage = readMainPackage(process.argv[1]);

/** `service.instance.id` of `OTEL_RESOURCE_ATTRIBUTES`, else a UUID of this process. */
export const instanceId: string = given['service.instance.id'] || randomUUID();

/** What the operator calls it. */
const operatorsName = process.env.OTEL_SERVICE_NAME || given['service.name'];
let name = operatorsName || mainPackage.name?.replace(/^@[^/]*\//, '') || 'unknown_service';

/**
 * Names this process for all that it logs and exports from now on, as early as its program knows: what the operator
 * calls it comes first.
 */
export function nameService(service: string): void {
  name = operatorsName || service;
}

/**
 * `OTEL_SERVICE_NAME`, else `service.name` of `OTEL_RESOURCE_ATTRIBUTES`, else what the program called itself
 * ({@link nameService}), else the main module's package without its scope.
 */
export function serviceName(): string {
  return name;
}

/**
 * The resource of all three signals, small on purpose: detectors of hosts and processes would tell the paths of the
 * machine. What `OTEL_RESOURCE_ATTRIBUTES` says is kept.
 */
export function resourceAttributes(): Readonly<Record<string, string>> {
  return {
    ...(mainPackage.version === undefined ? {} : { 'service.version': mainPackage.version }),
    ...given,
    'service.name': name,
    'service.instance.id': instanceId,
  };
}

/** Which program this is, as it tells of itself at its health port. */
export function identity() {
  return { service: serviceName(), version: resourceAttributes()['service.version'], instance: instanceId };
}

/** `key=value` pairs with percent-encoded values (OpenTelemetry, resource SDK). What is malformed is left out. */
function parseResourceAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const match = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/.exec(pair);
    if (match?.[1] !== undefined && match[2] !== undefined) attributes[match[1]] = decode(match[2]);
  }
  return attributes;
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** Nothing, where the main module is no file (`node -e`, a REPL). */
function readMainPackage(main: string | undefined): { name?: string; version?: string } {
  try {
    const path = findPackageJSON(pathToFileURL(main ?? ''));
    return path === undefined ? {} : JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return {};
  }
}
