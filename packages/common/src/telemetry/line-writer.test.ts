import assert from 'node:assert/strict';
import fs, { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createLineWriter } from './line-writer.ts';

/** A file, and a descriptor that takes nothing until `makeRoom()` makes it one of that file. */
function fullDisk(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-'));
  const path = join(folder, 'log');
  const fd = openSync('/dev/full', 'w');
  t.after(() => {
    closeSync(fd);
    rmSync(folder, { recursive: true });
  });
  return {
    fd,
    makeRoom() {
      closeSync(fd);
      // The lowest number that is free.
      assert.equal(openSync(path, 'a'), fd);
    },
    lines: () => readFileSync(path, 'utf8').split('\n').slice(0, -1),
  };
}

for (const isNonBlocking of [false, true]) {
  const by = isNonBlocking ? 'at once' : 'by a thread of the pool';

  test(`a full disk is told once, and gets what waited when it has room again: ${by}`, async (t) => {
    const disk = fullDisk(t);
    const errors: (string | undefined)[] = [];
    const writer = createLineWriter({
      ...{ fd: disk.fd, isNonBlocking },
      maxWaitingBytes: 1_000,
      onFailing: ({ code }) => errors.push(code),
    });
    for (const line of ['one', 'two', 'three']) writer.write(`${line}\n`);
    await writer.flushed();
    writer.write('four\n');
    disk.makeRoom();
    await eventually(async () => assert.deepEqual(disk.lines(), ['one', 'two', 'three', 'four']));
    assert.deepEqual(errors, ['ENOSPC']);
  });

  test(`the lines of one turn of the event loop go in one write: ${by}`, async (t) => {
    const disk = fullDisk(t);
    disk.makeRoom();
    const write = t.mock.method(fs, isNonBlocking ? 'writeSync' : 'write');
    syncBuiltinESMExports();
    t.after(() => {
      write.mock.restore();
      syncBuiltinESMExports();
    });
    const writer = createLineWriter({ fd: disk.fd, isNonBlocking, maxWaitingBytes: 1_000 });
    for (const line of ['one', 'two', 'three']) writer.write(`${line}\n`);
    await writer.flushed();
    writer.write('four\n');
    await writer.flushed();
    const written = write.mock.calls.map(({ arguments: [, bytes] }) => String(bytes));
    assert.deepEqual(written, ['one\ntwo\nthree\n', 'four\n']);
    assert.deepEqual(disk.lines(), ['one', 'two', 'three', 'four']);
  });

  test(`lines beyond the bound are dropped and counted, none of the others is cut: ${by}`, async (t) => {
    const disk = fullDisk(t);
    let dropped = 0;
    const told: number[] = [];
    const writer = createLineWriter({
      ...{ fd: disk.fd, isNonBlocking },
      maxWaitingBytes: 12,
      onDropped: () => {
        dropped += 1;
      },
      onRecovered: (count) => told.push(count),
    });
    for (const line of ['four', 'five', 'more', 'even more', 'x']) writer.write(`${line}\n`);
    assert.equal(dropped, 2);
    disk.makeRoom();
    await eventually(async () => assert.deepEqual([disk.lines(), told], [['four', 'five', 'x'], [2]]));
  });
}

test('at the exit what waits is written in order', (t) => {
  const disk = fullDisk(t);
  disk.makeRoom();
  const writer = createLineWriter({ fd: disk.fd, maxWaitingBytes: 1_000 });
  for (const line of ['under way', 'one', 'two']) writer.write(`${line}\n`);
  writer.flushSync(60_000);
  assert.deepEqual(
    disk.lines().filter((line) => line !== 'under way'),
    ['one', 'two'],
  );
});

test('at the exit a full disk is given up at once', (t) => {
  const writer = createLineWriter({ fd: fullDisk(t).fd, maxWaitingBytes: 1_000 });
  for (const line of ['under way', 'one', 'two']) writer.write(`${line}\n`);
  const startedMs = performance.now();
  writer.flushSync(60_000);
  assert.ok(performance.now() - startedMs < 30_000);
});
