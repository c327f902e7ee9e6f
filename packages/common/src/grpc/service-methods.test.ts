import assert from 'node:assert/strict';
import { test } from 'node:test';
import descriptor from 'protobufjs/ext/descriptor/index.js';
import { loadProto } from './proto.ts';
import { readDescriptorSet, readServiceMethods } from './service-methods.ts';

const definition = loadProto('mesh.proto');

test('services are read by their full names, with the messages of each method', () => {
  const services = readServiceMethods(definition);
  assert.deepEqual([...services.keys()], ['waybill.Mesh']);
  assert.deepEqual(services.get('waybill.Mesh')?.get('Connect'), {
    input: 'waybill.Address',
    output: 'waybill.Connection',
  });
});

test('a descriptor set says the same', () => {
  const { FileDescriptorProto, FileDescriptorSet } = descriptor;
  const files = definition['waybill.Address']?.fileDescriptorProtos as unknown as Buffer[];
  const set = FileDescriptorSet.encode({
    file: files.map((file) => FileDescriptorProto.decode(file)),
  }).finish();
  assert.deepEqual(readDescriptorSet(set), readServiceMethods(definition));
});

test('what is no descriptor set, or declares no service, is refused', () => {
  for (const bytes of [Buffer.from('syntax = "proto3";'), Buffer.from([10, 200])])
    assert.throws(() => readDescriptorSet(bytes));
  assert.throws(() => readDescriptorSet(Buffer.alloc(0)), { message: 'it declares no service' });
});
