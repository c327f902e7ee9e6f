/** The services of the folder `proto/`. Their types are generated (`generate-types.ts`). */
import { fileURLToPath } from 'node:url';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as Collector } from './generated/collector.ts';
import type { ProtoGrpcType as DataDispatcher } from './generated/data_dispatcher_service.ts';
import type { ProtoGrpcType as Dataset } from './generated/dataset_service.ts';
import type { ProtoGrpcType as Mesh } from './generated/mesh.ts';
import type { ProtoGrpcType as Nimbus } from './generated/nimbus.ts';

type Packages = {
  'collector.proto': Collector;
  'data_dispatcher_service.proto': DataDispatcher;
  'dataset_service.proto': Dataset;
  'nimbus.proto': Nimbus;
  'mesh.proto': Mesh;
};

/**
 * Loads a file of the folder `proto/`. Names stay as the file spells them, numbers and enums are numbers, and a field
 * that is not set has its default.
 */
export function loadProto(file: keyof Packages): PackageDefinition {
  const path = fileURLToPath(new URL(`../../../../proto/${file}`, import.meta.url));
  return loadSync(path, { keepCase: true, longs: Number, defaults: true, arrays: true });
}

/** The package in a file of the folder `proto/`: the constructors of clients of its services, and their definitions. */
export function loadPackage<File extends keyof Packages>(file: File): Packages[File] {
  // grpc-js loads at run time what only the generator knows at compile time.
  return loadPackageDefinition(loadProto(file)) as unknown as Packages[File];
}
