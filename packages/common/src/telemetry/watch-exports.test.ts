import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ExportResult } from '@opentelemetry/core';
import { type FailingExport, watchExports } from './watch-exports.ts';

const arrives: ExportResult = { code: 0 };
const fails: ExportResult = { code: 1, error: new Error('connect ECONNREFUSED') };

it('tells once of an exporter that failed twice in a row, and anew when it had worked in between', () => {
  class FakeTraceExporter {
    export(result: ExportResult, onResult: (result: ExportResult) => void) {
      onResult(result);
    }
  }
  const told: FailingExport[] = [];
  const results: object[] = [];
  watchExports(FakeTraceExporter, (failing) => told.push(failing));
  const toldAfter = (exporter: FakeTraceExporter, ...exported: ExportResult[]) => {
    told.length = 0;
    for (const result of exported) exporter.export(result, (each) => results.push(each));
    return told.length;
  };
  const exporter = new FakeTraceExporter();

  assert.equal(toldAfter(exporter, arrives, fails, arrives, fails), 0, 'a slow backend, now and then');
  assert.equal(toldAfter(exporter, fails), 1);
  assert.deepEqual(told, [{ signal: 'traces', reason: 'connect ECONNREFUSED' }]);
  assert.equal(toldAfter(exporter, fails, fails, fails), 0);
  assert.equal(toldAfter(exporter, arrives, fails, fails), 1);
  assert.equal(toldAfter(new FakeTraceExporter(), fails), 0, 'another exporter');
  assert.equal(results.length, 12, 'the exporter is told as before');
});
