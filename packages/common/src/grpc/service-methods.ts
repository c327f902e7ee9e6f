/** What services are made of, by the descriptors of their files: methods, and the full names of the messages of each. */
import type { PackageDefinition } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** Full names, such as `acme.Name`. */
export type ServiceMethod = { input: string; output: string };

/** The methods of each service, by its full name, such as `acme.Greeter`. */
export type ServiceMethods = ReadonlyMap<string, ReadonlyMap<string, ServiceMethod>>;

/** Reads the services of what the loader has loaded. */
export function readServiceMethods(definition: PackageDefinition): ServiceMethods {
  const files = new Set(Object.values(definition).flatMap(filesOf));
  return servicesOf([...files].map((file) => descriptor.FileDescriptorProto.decode(file) as unknown as File));
}

/**
 * Reads the services of a `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` writes it.
 *
 * @throws when `bytes` are none, or one without services
 */
export function readDescriptorSet(bytes: Uint8Array): ServiceMethods {
  const { file } = descriptor.FileDescriptorSet.decode(bytes) as unknown as { file: File[] };
  const services = servicesOf(file);
  if (services.size === 0) throw new Error('it declares no service');
  return services;
}

function servicesOf(files: File[]): ServiceMethods {
  const services = files.flatMap((file) =>
    file.service.map(({ name, method }): [string, Map<string, ServiceMethod>] => [
      file.package ? `${file.package}.${name}` : name,
      new Map(method.map(readMethod)),
    ]),
  );
  return new Map(services);
}

type File = {
  package: string;
  service: { name: string; method: { name: string; inputType: string; outputType: string }[] }[];
};

/** Messages have the files they are from; services those of their messages. */
function filesOf(defined: PackageDefinition[string]): Buffer[] {
  if (Array.isArray(defined.fileDescriptorProtos)) return defined.fileDescriptorProtos;
  return Object.values(
    defined as Record<string, { requestType: { fileDescriptorProtos: Buffer[] } }>,
  ).flatMap(({ requestType }) => requestType.fileDescriptorProtos);
}

function readMethod({
  name,
  inputType,
  outputType,
}: File['service'][number]['method'][number]): [string, ServiceMethod] {
  const withoutDot = (type: string) => type.replace(/^\./, '');
  return [name, { input: withoutDot(inputType), output: withoutDot(outputType) }];
}
