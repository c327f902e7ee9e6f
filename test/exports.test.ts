/** What packages publish to each other: their surface, and nothing else. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const canImport = (specifier: string) => {
  try {
    import.meta.resolve(specifier);
    return true;
  } catch {
    return false;
  }
};

const packages = globSync('packages/*/package.json').map((path) => JSON.parse(readFileSync(path, 'utf8')));
const files = (name: string) => globSync(`packages/${name}/src/**/*.ts`);

test('every package says what it exports', () => {
  assert.ok(packages.length > 8);
  for (const { name, exports } of packages) assert.equal(typeof exports, 'object', name);
});

for (const name of ['common', 'listener'])
  test(`no test and no fixture of ${name} can be imported by its name`, () => {
    const hidden = files(name).filter((path) => /\.(test|fixture)\.ts$/.test(path));
    assert.ok(hidden.length > 10);
    const open = hidden.filter((path) => canImport(path.replace(`packages/${name}/src`, `@waybill/${name}`)));
    assert.deepEqual(open, []);
  });

test('the listener is imported by its front door, and its mechanics are not', () => {
  assert.ok(canImport('@waybill/listener'));
  assert.ok(canImport('@waybill/listener/testing'));
  assert.ok(canImport('@waybill/listener/connect-listener.ts'));
  assert.ok(!canImport('@waybill/listener/handle-event.ts'));
});
