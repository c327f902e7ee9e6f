import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '@waybill/common/config.ts';
import { dataDispatchSettings } from './config.ts';

const { DATASET_SERVICE_ADDR } = dataDispatchSettings;
const load = (address: string) =>
  loadConfig({ DATASET_SERVICE_ADDR }, { DATASET_SERVICE_ADDR: address }).DATASET_SERVICE_ADDR;

test('the dataset service is given as host:port, and with https:// by name only', () => {
  for (const address of ['localhost:50061', '[::1]:50061', 'https://datasets:50061'])
    assert.equal(load(address), address);
  assert.equal(load('https://datasets:50061/'), 'https://datasets:50061');
  for (const address of ['https://127.0.0.1:50061', 'https://[::1]:50061', 'https://'])
    assert.throws(() => load(address), /DATASET_SERVICE_ADDR: with https:\/\/, give a name/);
});
