/**
 * Descriptors that tools can read. Those of the loader name no imports, call the file of `google.protobuf` by a name of their
 * own, and the entry types of maps by other names than the language prescribes, so that grpcurl and its like refuse a
 * service that has either (https://github.com/grpc/grpc-node/issues/2595, 2958).
 */
import type { PackageDefinition } from '@grpc/proto-loader';
import descriptor from 'protobufjs/ext/descriptor/index.js';

/** What the loader calls the file of `google.protobuf`, of which `proto/` uses nothing but `Any`. */
const LOADED_ANY = 'google_protobuf.proto';
const ANY_FILE = 'google/protobuf/any.proto';
const ANY = 'google.protobuf.Any';

type Field = { name: string; typeName?: string };
type Message = { name: string; field: Field[]; nestedType: Message[]; options?: { mapEntry?: boolean } };
type File = { name: string; dependency: string[]; messageType: Message[] };

/** `definition` with descriptors that are linked. */
export function linkDescriptors(definition: PackageDefinition): PackageDefinition {
  const linked = new Map<Buffer, Buffer>();
  const link = (file: Buffer) => linked.get(file) ?? linked.set(file, linkFile(file)).get(file) ?? file;
  const entries = Object.entries(definition).map(([name, value]) => {
    if (!Array.isArray(value.fileDescriptorProtos)) return [name, value];
    return [name, { ...value, fileDescriptorProtos: value.fileDescriptorProtos.map(link) }];
  });
  return Object.fromEntries(entries);
}

function linkFile(encoded: Buffer): Buffer {
  const { FileDescriptorProto } = descriptor;
  // protobufjs does not say what its own messages hold.
  const file = FileDescriptorProto.decode(encoded) as unknown as File;
  if (file.name === LOADED_ANY) file.name = ANY_FILE;
  const fields = file.messageType.flatMap(({ field }) => field);
  if (fields.some(({ typeName }) => typeName === ANY)) file.dependency.push(ANY_FILE);
  for (const message of file.messageType) nameMapEntries(message);
  return Buffer.from(FileDescriptorProto.encode(file).finish());
}

/** The entry type of the map `a_b` is `ABEntry`. */
function nameMapEntries({ field: fields, nestedType }: Message): void {
  for (const field of fields) {
    const entry = nestedType.find(({ name, options }) => name === field.typeName && options?.mapEntry);
    if (!entry) continue;
    entry.name = `${field.name.replace(/(?:^|_)(.)/g, (_match, letter) => letter.toUpperCase())}Entry`;
    field.typeName = entry.name;
  }
}
