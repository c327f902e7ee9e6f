/** docker-compose.yml as Compose takes it: with the files that it includes, and what services extend. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

export type Healthcheck = { test: string[]; interval: string; timeout: string; start_interval: string };
export type StackService = {
  extends?: { file?: string; service: string };
  build?: { args?: { PACKAGE?: string } };
  command?: string[];
  container_name?: string;
  depends_on?: Record<string, unknown>;
  environment?: Record<string, string>;
  healthcheck?: Healthcheck;
  mem_limit?: string;
  ports?: string[];
  profiles?: string[];
  scale?: string;
  volumes?: string[];
};
export type Stack = {
  name: string;
  include?: { path: string[] }[];
  services: Record<string, StackService>;
  networks?: unknown;
  volumes?: Record<string, unknown>;
};

/** @param folder of the project; default: this one */
export function readStack(folder = '.'): Stack {
  const main = readCompose(folder, 'docker-compose.yml');
  const included = (main.include ?? []).flatMap(({ path }) => path).map((path) => readCompose(folder, path));
  return [...included, main].reduce((stack, file) => merge(stack, file) as Stack);
}

/** One file, with merge keys and what its services extend; Compose's own tags are no part of the value. */
export function readCompose(folder: string, path: string): Stack {
  const file: Stack = parse(readFileSync(join(folder, path), 'utf8'), { merge: true, logLevel: 'error' });
  const extended = Object.entries(file.services).map(([name, service]) => [
    name,
    extend(folder, file, service),
  ]);
  return { ...file, services: Object.fromEntries(extended) };
}

function extend(folder: string, file: Stack, { extends: from, ...own }: StackService): StackService {
  if (!from) return own;
  const base = (from.file ? readCompose(folder, from.file) : file).services[from.service];
  if (!base) throw new Error(`there is no service ${from.service} to extend`);
  return merge(from.file ? base : extend(folder, file, base), own) as StackService;
}

/** Maps by key and lists one after the other; of anything else the second. */
function merge(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) return [...one, ...other];
  if (!isMap(one) || !isMap(other)) return other === undefined ? one : other;
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, merge(one[name], other[name])]));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
