import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';

/** Answers as Docker does with three dispatchers and two public-webs, and writes down what it is told to start. */
const DOCKER = `#!/usr/bin/env bash
case "$*" in
  'compose config --services') printf '%s\\n' public-web dispatcher ping-listener rabbitmq ;;
  'compose ps --quiet dispatcher') printf '%s\\n' d1 d2 d3 ;;
  'compose ps --quiet public-web') printf '%s\\n' w1 w2 ;;
  'compose ps --quiet ping-listener') echo p1 ;;
  'compose ps --quiet data-dispatch-listener') ;;
  'inspect w1 '*8080/tcp*) echo 8080-8081 ;;
  'inspect w1 '*50051/tcp*) echo 50051-50052 ;;
  'compose build '*) ;;
  'compose up '*) echo "$PUBLIC_WEB_PORT $PUBLIC_WEB_GRPC_PORT $*" >"$TOLD" ;;
  *) echo "unexpected: docker $*" >&2; exit 1 ;;
esac
`;

async function restart(
  t: TestContext,
  services: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-restart-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'docker'), DOCKER);
  chmodSync(join(folder, 'docker'), 0o755);
  const told = join(folder, 'told');
  const path = `${folder}${delimiter}${process.env.PATH}`;
  await promisify(execFile)('bin/restart.sh', services, { env: { PATH: path, TOLD: told, ...env } });
  return readFileSync(told, 'utf8').trim();
}

test('restart.sh keeps how many run of each service, and the ports they have', async (t) => {
  assert.equal(
    await restart(t, []),
    '8080-8081 50051-50052 compose up --detach --no-deps --force-recreate --wait' +
      ' --scale public-web=2 --scale dispatcher=3 --scale ping-listener=1 public-web dispatcher ping-listener',
  );
});

test('restart.sh restarts what it is told to alone, and takes a port that it is given', async (t) => {
  assert.equal(
    await restart(t, ['public-web'], { PUBLIC_WEB_PORT: '9080-9081' }),
    '9080-9081 50051-50052 compose up --detach --no-deps --force-recreate --wait --scale public-web=2 public-web',
  );
});

test('restart.sh starts what does not run', async (t) => {
  assert.match(await restart(t, ['data-dispatch-listener']), / --wait data-dispatch-listener$/);
});
