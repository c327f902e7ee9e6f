import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';

export type LifelineOptions = {
  /** The process (a positive id) or the whole process group (a negative one) to kill. */
  pid: number;
  /** A folder to remove with it. */
  folder?: string;
};

/**
 * Ties another process to this one: when this process ends, in whatever way, that one gets SIGKILL at once.
 * A shell waits on a pipe that only this process holds, so it works after a SIGKILL and a crash too, where exit
 * handlers do not run.
 *
 * @returns a function that unties them, to be called once the other process has ended.
 */
export function tieToThisProcess({ pid, folder }: LifelineOptions): () => void {
  // A process that is just dying may still write to the folder, hence the second try.
  const script = 'read -r _; kill -s KILL -- "$1"; [ -z "$2" ] || rm -rf "$2" || { sleep 1; rm -rf "$2"; }';
  const shell = spawn('/bin/sh', ['-c', script, 'lifeline', String(pid), folder ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // a Ctrl-C must not end the shell before its work is done
  });
  shell.on('error', () => {});
  shell.stdin.on('error', () => {});
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => shell.kill('SIGKILL');
}
