import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTraceStore } from './store.ts';

describe('the trace store', () => {
  it('keeps the items of a trace in the order of their arrival, spans and logs apart', () => {
    const store = createTraceStore({ maxBytes: 10_000 });
    store.add('a', 'spans', '1');
    store.add('a', 'logs', '"line"');
    store.add('a', 'spans', '2');
    assert.deepEqual(store.read('a', 'spans'), [1, 2]);
    assert.deepEqual(store.read('a', 'logs'), ['line']);
    assert.deepEqual(store.read('b', 'spans'), []);
  });

  it('forgets the traces that began first, whole, when it is full', () => {
    const store = createTraceStore({ maxBytes: 10_000 });
    const span = JSON.stringify('x'.repeat(900));
    const ids = Array.from({ length: 20 }, (_, index) => `trace ${index}`);
    for (const id of ids) {
      store.add(id, 'logs', '1');
      assert.equal(store.add(id, 'spans', span), true);
    }
    const kept = ids.filter((id) => store.read(id, 'spans').length > 0);
    assert.deepEqual(kept, ids.slice(-kept.length));
    assert.equal(kept.length, 8);
    assert.deepEqual(store.read('trace 0', 'logs'), []);
  });

  it('does not let one trace crowd out the others', () => {
    const store = createTraceStore({ maxBytes: 10_000 });
    store.add('other', 'spans', '1');
    const wereKept = Array.from({ length: 100 }, () => store.add('large', 'spans', '"a span"'));
    assert.equal(wereKept.at(-1), false);
    assert.ok(store.read('large', 'spans').length < 10);
    assert.deepEqual(store.read('other', 'spans'), [1]);
  });
});
