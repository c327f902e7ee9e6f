#!/usr/bin/env node
/**
 * Copies the SQLite file of a store that may be at work meanwhile, and makes a copy fit to start a store from again:
 *
 *     node bin/store-backup.mjs data/store.db backup.db
 *     node bin/store-backup.mjs --restore backup.db data/store.db
 *
 * A restored mailbox goes on from an earlier point, where the same offsets come to mean other entries. So it gets another
 * epoch, by which clients see that they may have missed something. Plain JavaScript, on any Node that has node:sqlite
 * (22.5 and later).
 */
import { copyFileSync, existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runProgram, UserError } from './plain/user-error.mjs';

const USAGE = 'usage: node bin/store-backup.mjs [--restore] FROM TO';

await runProgram(async () => {
  const { values, positionals } = parseArgs({
    options: { restore: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const [from, to, ...rest] = positionals;
  if (from === undefined || to === undefined || rest.length > 0) throw new UserError(USAGE);
  if (!existsSync(from)) throw new UserError(`there is no file ${from}`);
  if (existsSync(to)) throw new UserError(`${to} is there already: move it away first`);
  const { DatabaseSync, backup } = await import('node:sqlite').catch(() => {
    throw new UserError(`Node ${process.version} has no node:sqlite: try npx node bin/store-backup.mjs`);
  });
  if (values.restore) restore(DatabaseSync, from, to);
  else {
    const database = new DatabaseSync(from, { readOnly: true });
    await backup(database, to);
    database.close();
  }
  console.log(`${to} is written`);
});

/**
 * @param {typeof import('node:sqlite').DatabaseSync} DatabaseSync
 * @param {string} from
 * @param {string} to
 */
function restore(DatabaseSync, from, to) {
  copyFileSync(from, to);
  const database = new DatabaseSync(to);
  database.exec('UPDATE mailboxes SET epoch = lower(hex(randomblob(6)))');
  database.close();
}
