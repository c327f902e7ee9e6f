import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@waybill/common/config.ts';
import { dataDispatchSettings } from './config.ts';

const { DATASET_SERVICE_ADDR } = dataDispatchSettings;
const load = (address: string) =>
  loadConfig({ DATASET_SERVICE_ADDR }, { DATASET_SERVICE_ADDR: address }).DATASET_SERVICE_ADDR;

const ADDRESSES = [
  'localhost:50061',
  '127.0.0.1:50061',
  '[::1]:50061',
  'dataset-generator:50061',
  'gen_1.inside.test:65535',
  'https://datasets:50061',
];
const NO_ADDRESSES = [
  ...['gen', 'gen:', ':50061', 'gen:0', 'gen:65536', 'gen:50061/', ' gen:50061', '::1:50061', '[gen]:50061'],
  ...['https://', 'https://gen', 'https://gen:50061/', 'https://gen:50061/path', 'https://gen:50061?x=1'],
  ...['https://user:password@gen:50061', 'http://gen:50061', 'HTTPS://gen:50061', 'dns:///gen:50061'],
];

test('the dataset service is given as host:port, and with https:// by name only', () => {
  for (const address of ADDRESSES) assert.equal(load(address), address);
  for (const address of ['https://127.0.0.1:50061', 'https://[::1]:50061'])
    assert.throws(() => load(address), /DATASET_SERVICE_ADDR: with https:\/\/, give a name/);
});

for (const address of NO_ADDRESSES)
  test(`${address} is no address of a dataset service`, () => {
    assert.throws(() => load(address), /DATASET_SERVICE_ADDR: give host:port/);
  });
