/**
 * Copies the SQLite file of a store that may be at work meanwhile, and makes a copy fit to start a store from again:
 *
 *     node bin/store-backup.mjs data/store.db backup.db
 *     node bin/store-backup.mjs --restore backup.db data/store.db
 *
 * A restored mailbox goes on from an earlier point, where the same offsets come to mean other entries. So it gets another
 * epoch, by which clients see that they may have missed something.
 */
import { copyFileSync, existsSync } from 'node:fs';
import { backup, DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import { runProgram, UserError } from '../../../bin/plain/user-error.mjs';

const USAGE = 'usage: node bin/store-backup.mjs [--restore] FROM TO';

await runProgram(async () => {
  const { isRestore, paths } = parse();
  const [from, to, ...rest] = paths;
  if (from === undefined || to === undefined || rest.length > 0) throw new UserError(USAGE);
  if (!existsSync(from)) throw new UserError(`there is no file ${from}`);
  if (existsSync(to)) throw new UserError(`${to} is there already: move it away first`);
  if (isRestore) restore(from, to);
  else await copy(from, to);
  console.log(`${to} is written`);
});

function parse(): { isRestore: boolean; paths: string[] } {
  try {
    const { values, positionals } = parseArgs({
      options: { restore: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    return { isRestore: values.restore, paths: positionals };
  } catch {
    throw new UserError(USAGE);
  }
}

async function copy(from: string, to: string): Promise<void> {
  const database = new DatabaseSync(from, { readOnly: true });
  await backup(database, to);
  database.close();
}

function restore(from: string, to: string): void {
  copyFileSync(from, to);
  const database = new DatabaseSync(to);
  database.exec('UPDATE mailboxes SET epoch = lower(hex(randomblob(6)))');
  database.close();
}
