/** Where the programs of Waybill's packages are: in this repository as sources, and elsewhere as built and installed. */
import { fileURLToPath } from 'node:url';

/** The preload of every process, for Node's `--import`. */
export const PRELOAD = import.meta.resolve('@waybill/common/telemetry');

/** A module of the package of a service: `main`, its program, or `config`, which reads its settings. */
export function modulePath(name: string, module: 'main' | 'config'): string {
  return fileURLToPath(import.meta.resolve(`@waybill/${name}/${module}.ts`));
}

/** What Node is started with to run a service. */
export function serviceArgs(name: string): string[] {
  // Node 22 says of its SQLite that it is experimental, to those who can do nothing about it.
  return ['--disable-warning=ExperimentalWarning', '--import', PRELOAD, modulePath(name, 'main')];
}
