import { fileURLToPath } from 'node:url';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';

/**
 * Loads a file of the folder `proto/`. Names stay as the file spells them, numbers are numbers, and a field that is
 * not set has its default.
 */
export function loadProto(
  file: 'data_dispatcher_service.proto' | 'dataset_service.proto',
): PackageDefinition {
  const path = fileURLToPath(new URL(`../../../../proto/${file}`, import.meta.url));
  return loadSync(path, { keepCase: true, longs: Number, enums: String, defaults: true, arrays: true });
}
