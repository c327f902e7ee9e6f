import assert from 'node:assert/strict';
import { test } from 'node:test';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { linkDescriptors } from './linked-descriptors.ts';
import { loadProto } from './proto.ts';

type Message = {
  name: string;
  field: { name: string; typeName?: string }[];
  nestedType: { name: string }[];
};
type File = { name: string; dependency?: string[]; messageType: Message[] };

/** The files of a definition as tools are given them. */
function filesOf(file: Parameters<typeof loadProto>[0]): File[] {
  const encoded = Object.values(linkDescriptors(loadProto(file))).flatMap(
    ({ fileDescriptorProtos }) => (fileDescriptorProtos ?? []) as Buffer[],
  );
  return [...new Set(encoded)].map((bytes) => descriptor.FileDescriptorProto.decode(bytes).toJSON() as File);
}

test('a file names what it imports, as everybody names it', () => {
  const imports = filesOf('collector.proto').map(({ name, dependency }) => [name, dependency]);
  assert.deepEqual(imports, [
    ['collector.proto', ['google/protobuf/any.proto']],
    ['google/protobuf/any.proto', undefined],
  ]);
  const [own] = filesOf('data_dispatcher_service.proto');
  assert.equal(own?.dependency, undefined);
});

test('the entry type of a map is named as the language prescribes', () => {
  const [file] = filesOf('collector.proto');
  const { field, nestedType } =
    file?.messageType.find(({ name }) => name === 'ServeRequest') ?? assert.fail();
  assert.equal(field.find(({ name }) => name === 'execution_context')?.typeName, 'ExecutionContextEntry');
  assert.deepEqual(
    nestedType.map(({ name }) => name),
    ['ExecutionContextEntry'],
  );
});
