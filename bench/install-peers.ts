import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('peers', import.meta.url));

/**
 * Installs what the peers are made of, in `bench/peers`, unless it is there as the lock file has it.
 *
 * @throws when npm fails; it says why on this terminal.
 */
export function installPeers(): void {
  const lock = `${folder}/package-lock.json`;
  const installed = `${folder}/node_modules/.package-lock.json`;
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log('installing the peers in bench/peers');
  const { status } = spawnSync('npm', ['ci', '--prefix', folder, '--no-audit'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('npm ci in bench/peers failed');
}
