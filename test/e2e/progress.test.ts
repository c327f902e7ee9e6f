import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { describe, it } from 'node:test';
import { createProgress } from '../../bin/plain/progress.mjs';

describe('the progress of a stream', () => {
  it('is one line on a terminal, with a bar where the total is known', () => {
    const { output, written } = terminal();
    const progress = createProgress({ total: 4, output, env: {} });
    for (let index = 0; index < 2; index++) progress.add(1_500_000);
    progress.end();
    const bar = `\x1b[36m${'█'.repeat(15)}\x1b[39m${'░'.repeat(15)}`;
    assert.ok(written().startsWith(`\r\x1b[K${bar} 2/4 batches, 3.0 MB, `), written());
    assert.match(written(), / batches\/s, [\d.]+ MB\/s\n$/);
  });

  it('has no colours with NO_COLOR, and no bar where the total is not known', () => {
    const { output, written } = terminal();
    const plain = createProgress({ total: 1, output, env: { NO_COLOR: '1' } });
    plain.add(1);
    plain.end();
    assert.ok(written().startsWith(`\r\x1b[K${'█'.repeat(30)} 1/1 batches, `));
    const unknown = createProgress({ output, env: {} });
    unknown.add(1);
    unknown.end();
    assert.match(written(), /\n\r.\[K1 batches, 0\.0 MB, .*\n$/);
  });

  it('counts what has no size by its name', () => {
    const { output, written } = terminal();
    const progress = createProgress({ total: 2, what: 'results', output, env: { NO_COLOR: '1' } });
    progress.add();
    progress.end();
    assert.match(written(), /^\r.\[K█{15}░{15} 1\/2 results, [\d.]+ results\/s\n$/);
    assert.match(progress.summary().join('\n'), /^rate {8}[\d.]+ results\/s over [\d.]+ s$/);
  });

  it('writes no control characters elsewhere', () => {
    for (const { isTTY, env } of [
      { isTTY: false, env: {} },
      { isTTY: true, env: { TERM: 'dumb' } },
    ]) {
      const { output, written } = terminal(isTTY);
      const progress = createProgress({ total: 1, output, env });
      progress.add(1);
      progress.end();
      assert.equal(written(), '');
    }
  });
});

function terminal(isTTY = true) {
  let text = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  return { output: Object.assign(output, { isTTY }), written: () => text };
}
