import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';

const OLDER = "data:text/javascript,Object.defineProperty(process, 'version', { value: 'v20.20.2' })";

for (const [node, preload] of [
  ['the Node that it was started by', 'data:text/javascript,'],
  ["the project's own Node, when started by an older one", OLDER],
] as const)
  describe(`a program run by ${node}`, () => {
    it('has the arguments, the input and the exit code of the one that was started', async (t) => {
      const { child, said, ended } = start(t, preload, ['--all', 'two words']);
      child.stdin.end('7');
      assert.equal(await said, '["--all","two words"]\n');
      assert.deepEqual(await ended, [7, null]);
    });

    it('keeps compiled modules, and tells the processes it starts where', async (t) => {
      const { child, said, ended } = start(t, preload, ['compiled']);
      child.stdin.end('0');
      const [own = '', forOthers = ''] = (await said).trim().split(' ');
      assert.match(forOthers, /node_modules\/.cache\/compiled$|^\/.+/);
      assert.ok(own.startsWith(forOthers), own);
      await ended;
    });

    it('gets the signals of the one that was started', async (t) => {
      const { child, said, ended } = start(t, preload);
      await said;
      child.kill('SIGTERM');
      assert.deepEqual(await ended, [3, null]);
    });

    it('takes the one that was started along when a signal ends it', async (t) => {
      const { child, ended } = start(t, preload);
      child.stdin.end('abort');
      assert.deepEqual(await ended, [null, 'SIGKILL']);
    });

    it('ends with the one that was started when that is killed', async (t) => {
      const { child, said, ended } = start(t, preload);
      await said;
      child.kill('SIGKILL');
      // Its output ends when nobody holds it any more.
      assert.deepEqual(await ended, [null, 'SIGKILL']);
    });
  });

function start(t: TestContext, preload: string, args: string[] = []) {
  const nodeArgs = ['--import', preload, 'test/run-typescript.fixture.mjs', ...args];
  const child = spawn(process.execPath, nodeArgs, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const said = once(child.stdout, 'data').then(([data]) => String(data));
  return { child, said, ended: once(child, 'close') };
}
