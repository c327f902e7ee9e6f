/** Server reflection, v1 and v1alpha, of all that a server serves: what `grpcurl` calls without proto files. */
import { createRequire } from 'node:module';
import type { Server } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { protoPath as healthProto } from 'grpc-health-check';
import { linkDescriptors } from './linked-descriptors.ts';

const resolve = createRequire(import.meta.url).resolve;
const library = resolve('@grpc/reflection/package.json').replace(/package\.json$/, '');
const reflectionProtos = ['v1', 'v1alpha'].map(
  (version) => `${library}build/proto/grpc/reflection/${version}/reflection.proto`,
);

/** Adds reflection of `definitions`, of `grpc.health.v1.Health`, and of reflection itself to a server that has the former. */
export function addReflection(server: Server, definitions: readonly PackageDefinition[]): void {
  const others = [healthProto, ...reflectionProtos].map((file) => loadSync(file, { keepCase: true }));
  new ReflectionService(Object.assign({}, ...definitions.map(linkDescriptors), ...others)).addToServer(
    server,
  );
}
