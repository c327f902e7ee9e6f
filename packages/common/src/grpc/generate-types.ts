/**
 * Writes the types of `proto/` into `generated/`: run `npm run proto` after a change of a file there. A test holds what is
 * checked in against it.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Where the generated types are. */
export const GENERATED_TYPES = fileURLToPath(new URL('./generated/', import.meta.url));

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const FILES = [
  'collector.proto',
  'data_dispatcher_service.proto',
  'dataset_service.proto',
  'mesh.proto',
  'nimbus.proto',
];
/** What `loadProto` loads with. */
const AS_LOADED = ['--keepCase', '--longs=Number', '--defaults', '--arrays'];

/** Writes the types of all services and messages into `folder`. Throws what the generator complains of. */
export function generateTypes(folder: string): void {
  const library = createRequire(import.meta.url).resolve('@grpc/proto-loader/package.json');
  const generator = library.replace('package.json', 'build/bin/proto-loader-gen-types.js');
  const form = ['--grpcLib=@grpc/grpc-js', '--importFileExtension=.ts', '--includeComments'];
  const options = [...AS_LOADED, ...form, '--includeDirs=proto', `--outDir=${folder}`];
  const { status, stderr } = spawnSync(process.execPath, [generator, ...options, '--', ...FILES], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

if (import.meta.main) generateTypes(GENERATED_TYPES);
