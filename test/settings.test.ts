import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meantBy } from '@waybill/common/misspelt.ts';
import { defaultPorts } from '@waybill/tools/system.ts';
import { dataDispatchSettings } from '../packages/data-dispatch-listener/src/config.ts';
import { datasetGeneratorSettings } from '../packages/dataset-generator/src/config.ts';
import { devTelemetrySettings } from '../packages/dev-telemetry/src/config.ts';
import { dispatcherSettings } from '../packages/dispatcher/src/config.ts';
import { listenerSettings, resultsSettings } from '../packages/listener/src/config.ts';
import { publicWebSettings } from '../packages/public-web/src/config.ts';
import { storeSettings } from '../packages/store/src/config.ts';

const services = [
  publicWebSettings,
  dispatcherSettings,
  listenerSettings,
  resultsSettings,
  dataDispatchSettings,
  datasetGeneratorSettings,
  devTelemetrySettings,
  storeSettings,
].map((settings) => Object.keys(settings));

test("no service takes another's setting, or a port of npm start, for one of its own that was misspelt", () => {
  const all = new Set([...services.flat(), ...Object.keys(defaultPorts)]);
  for (const own of services)
    for (const name of all) if (!own.includes(name)) assert.equal(meantBy(name, own), undefined, name);
});
