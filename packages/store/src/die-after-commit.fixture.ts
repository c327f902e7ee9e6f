/** A store that ends, as by kill -9, when the first entry is on disk, and before anybody is told. */
import { DatabaseSync } from 'node:sqlite';

const exec = DatabaseSync.prototype.exec;
DatabaseSync.prototype.exec = function execAndDie(text) {
  exec.call(this, text);
  if (text !== 'COMMIT') return;
  const { count } = this.prepare('SELECT COUNT(*) AS count FROM entries').get() as { count: number };
  if (count > 0) process.kill(process.pid, 'SIGKILL');
};

await import('./main.ts');
