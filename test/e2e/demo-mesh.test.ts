import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';

type Outcome = { code: number; stdout: string; stderr: string };

/** Runs it on ports of its own. They are near those of `npm start`, which others may have: then it ends before it starts anything. */
async function demo(): Promise<Outcome> {
  for (let tries = 1; ; tries += 1) {
    const args = ['bin/demo-mesh.mjs', '--port-offset', `${randomInt(4, 60) * 100}`];
    const outcome = await new Promise<Outcome>((resolve) =>
      execFile(process.execPath, args, { env: bareEnvironment() }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), stdout, stderr }),
      ),
    );
    if (tries === 10 || !/ in use: |already runs/.test(outcome.stderr)) return outcome;
  }
}

test('npm run demo:mesh shows calls over three sites and the trace of one over two, and stops them all', async () => {
  const { code, stdout, stderr } = await demo();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  assert.match(stdout, /^berlin +127.0.0.1:\d+ +acme\n├─ paris +ACTIVE +acme\n└─ rome +ACTIVE +acme$/m);
  assert.match(stdout, /^served where it is called:\n\$ .+\n200 OK, by berlin\nHello, Ada$/m);
  const remote = /^200 OK, by (paris|rome)\nAHOY\ntrace id: ([0-9a-f]{32})$/m.exec(stdout);
  const [, handler = '', traceId] = remote ?? assert.fail(stdout);
  const other = handler === 'paris' ? 'rome' : 'paris';
  assert.match(stdout, new RegExp(`^${handler} is killed; the same call again:$`, 'm'));
  assert.match(stdout, new RegExp(`^200 OK, by ${other}\nAHOY AGAIN$`, 'm'));
  assert.match(stdout, new RegExp(`^${handler} +\\S+ +(FAILED|DISCONNECTED) `, 'm'));
  assert.match(stdout, new RegExp(`^${other} +\\S+ +ACTIVE `, 'm'));
  const [rows] = stdout.slice(stdout.indexOf(`trace ${traceId} · `)).split(' is killed');
  for (const row of [
    'berlin/public-web grpc.collector.CollectiveDispatcher/Dispatch ',
    'berlin/public-web └ grpc.collector.CollectiveDispatcher/Serve ',
    `${handler}/public-web +└ grpc.collector.CollectiveDispatcher/Serve `,
    `${handler}/shouter +└ process acme.Shouter.Shout `,
    `${handler}/public-web +└ deliver acme.Shouter.Shout.Response `,
  ])
    assert.match(String(rows), new RegExp(`^${row}.*[█▏▎▍▌▋▊▉].* (ms|µs)$`, 'm'));
  assert.match(stdout, /^stopped$/m);
});
