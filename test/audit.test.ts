import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../.ci/audit.mjs', import.meta.url));
const projectFolder = fileURLToPath(new URL('..', import.meta.url));
const ADVISORY = 'GHSA-aaaa-bbbb-cccc';
const found = {
  fastify: [
    {
      ...{ id: 1, title: 'it answers too fast', severity: 'high', vulnerable_versions: '*' },
      ...{
        url: `https://github.com/advisories/${ADVISORY}`,
        cwe: [],
        cvss: { score: 7, vectorString: null },
      },
    },
  ],
};

/** A registry that says `advisories` when it is asked, or that it cannot be. */
async function startRegistry(advisories: object | undefined) {
  const server = createServer((request, response) => {
    request.resume();
    const isAsked = request.url?.endsWith('/advisories/bulk') && advisories !== undefined;
    response.statusCode = isAsked ? 200 : 404;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isAsked ? advisories : { message: 'not here' }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() };
}

describe('npm run audit', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-audit-'));
  });
  after(() => rm(folder, { recursive: true }));

  async function run(advisories: object | undefined, exceptions: object[] = []) {
    const registry = await startRegistry(advisories);
    const file = join(folder, `${Math.random()}.json`);
    await writeFile(file, JSON.stringify(exceptions));
    const env = {
      ...process.env,
      npm_config_registry: registry.url,
      npm_config_cache: join(folder, 'cache'),
    };
    const options = { cwd: projectFolder, env: { ...env, npm_config_fetch_retries: '0' } };
    try {
      return await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
        execFile(process.execPath, [program, file], options, (error, stdout, stderr) =>
          resolve({ code: error?.code ?? 0, stdout, stderr }),
        );
      });
    } finally {
      registry.close();
    }
  }

  it('passes when no package has an advisory', async () => {
    const { code, stdout } = await run({});
    assert.deepEqual({ code, stdout }, { code: 0, stdout: '0 advisories, 0 of them excepted\n' });
  });

  it('fails at an advisory, and names it and the package', async () => {
    const { code, stderr } = await run(found);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^high: fastify: it answers too fast \\(.*${ADVISORY}\\)$`, 'm'));
  });

  it('passes at one that is excepted, until the last day of the exception', async () => {
    const today = new Date().toISOString().slice(0, 10);
    assert.equal(
      (await run(found, [{ advisory: ADVISORY, reason: 'slow here', until: '9999-12-31' }])).code,
      0,
    );
    const old = [{ advisory: ADVISORY, reason: 'slow then', until: '2026-01-31' }];
    assert.ok(today > '2026-01-31');
    assert.equal((await run(found, old)).code, 1);
  });

  it('says which exception is no longer needed', async () => {
    const { code, stderr } = await run({}, [{ advisory: ADVISORY, reason: '', until: '9999-12-31' }]);
    assert.deepEqual(
      { code, stderr },
      { code: 0, stderr: `the exception of ${ADVISORY} is no longer needed\n` },
    );
  });

  it('says when nothing is known, and does not fail the build', async () => {
    const { code, stderr } = await run(undefined);
    assert.equal(code, 0);
    assert.match(stderr, /^NOT CHECKED for security advisories: /m);
  });
});
