import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** The setting by which a system that a test starts has its database in a folder that is gone after the test. */
export function databaseIn(t: TestContext): { DATABASE_URL: string } {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-database-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return { DATABASE_URL: `sqlite:${folder}/store.db` };
}
