import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { readServiceMethods } from '@waybill/common/grpc/service-methods.ts';
import { createNetwork, dispatch, serveRequest } from '../mesh.fixture.ts';
import type { ServeRequest } from '../messages.ts';
import { createDescriptorValidator } from './descriptor-validator.ts';

const validate = createDescriptorValidator(readServiceMethods(loadProto('mesh.proto')));
const service = { namespace: 'waybill', service_name: 'Mesh' };
const input = { type_url: 'type.googleapis.com/waybill.Address', value: Buffer.alloc(0) };
const call = { namespace: 'waybill', service, method_name: 'Connect', input };
const said = (changes: Partial<ServeRequest>) => validate(serveRequest({ ...call, ...changes }));

test('what the descriptors declare is registered, with an input of its type or with none', () => {
  assert.equal(said({}), undefined);
  assert.equal(said({ input: null }), undefined);
  assert.equal(said({ input: { ...input, type_url: 'waybill.Address' } }), undefined);
  assert.equal(said({ service: { namespace: '', service_name: 'Mesh' } }), undefined);
});

test('another namespace, service, method or input is not, and is named', () => {
  assert.equal(said({ namespace: 'acme', service: { ...service, namespace: 'acme' } }), 'acme.Mesh');
  assert.equal(said({ namespace: 'acme' }), 'waybill.Mesh');
  assert.equal(said({ service: { ...service, service_name: 'Other' } }), 'waybill.Other');
  assert.equal(said({ method_name: 'Other' }), 'waybill.Mesh.Other');
  assert.equal(said({ method_name: 'constructor' }), 'waybill.Mesh.constructor');
  for (const [type_url, given] of [
    ['type.googleapis.com/waybill.Site', 'waybill.Site'],
    ['', 'message without a type'],
  ] as const)
    assert.equal(
      said({ input: { ...input, type_url } }),
      `waybill.Mesh.Connect of a ${given}: it takes a waybill.Address`,
    );
});

test('a site answers 404 to what is not registered, and what another site has registered runs there', async () => {
  const network = createNetwork();
  const a = network.add('a', { validator: validate, namespaces: ['waybill', 'shared'] });
  const b = network.add('b', { namespaces: ['shared'] });
  a.registerService('waybill', 'Mesh', 'Other', () => null);
  const { status } = await dispatch(a, { ...call, method_name: 'Other' });
  assert.equal(
    `${status.code} ${status.message}`,
    '404 service not registered in registry: waybill.Mesh.Other',
  );
  b.registerService('shared', 'Greeter', 'Greet', () => null);
  await a.connectTo('b:1');
  assert.equal((await dispatch(a)).handled_by_collector_id, 'b');
  await network.close();
});
