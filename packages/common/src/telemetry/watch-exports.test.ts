import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base';
import { type FailingExport, watchExports } from './watch-exports.ts';

const arrives = { code: 0 };
const fails = { code: 1, error: new Error('connect ECONNREFUSED') };

it('tells once of an exporter that failed twice in a row, and anew when it had worked in between', () => {
  class FakeTraceExporter {
    export(result: typeof fails, onResult: (result: object) => void) {
      onResult(result);
    }
  }
  const told: FailingExport[] = [];
  const results: object[] = [];
  watchExports(FakeTraceExporter as unknown as typeof OTLPExporterBase<unknown>, (failing) =>
    told.push(failing),
  );
  const toldAfter = (exporter: FakeTraceExporter, ...exported: object[]) => {
    told.length = 0;
    for (const result of exported) exporter.export(result as typeof fails, (each) => results.push(each));
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
