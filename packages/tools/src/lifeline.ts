/**
 * Ends processes when this one has ended in whatever way: after a SIGKILL no handler of ours runs. A shell waits on a
 * pipe that only this process holds; then it asks them to stop, and kills what is left.
 */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

/** As long as a service may take to stop; in seconds, as tries of one each. */
const TRIES = 12;

const SCRIPT = `
  while read -r pid; do pids="$pids $pid"; done
  kill -s TERM $pids
  for _ in $(seq ${TRIES}); do
    left=; for pid in $pids; do kill -s 0 $pid && left="$left $pid"; done
    pids=$left
    [ "$pids" ] || exit
    sleep 1
  done
  kill -s KILL $pids`;

/** Starts the shell; it does not keep this process alive. */
export function createLifeline() {
  const shell = spawn('/bin/sh', ['-c', SCRIPT, 'lifeline'], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A Ctrl-C must not end it before its work is done.
    detached: true,
  });
  const { stdin } = shell;
  shell.on('error', () => {});
  stdin.on('error', () => {});
  shell.unref();
  (stdin as Socket).unref();
  return {
    /** @param pid of a process that did start */
    tie(pid: number | undefined) {
      if (pid !== undefined) stdin.write(`${pid}\n`);
    },
    /** To be called when they have ended: their ids may be given to others. */
    cut: () => void shell.kill('SIGKILL'),
  };
}
