import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONFIGURATION_PAGE, renderConfiguration } from '../docs/configuration.ts';

test('docs/configuration.md says what the settings are', () => {
  assert.equal(readFileSync(CONFIGURATION_PAGE, 'utf8'), renderConfiguration(), 'run npm run docs');
});
