import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findNpm, isRunning } from './npm-process.ts';

it('the npm that runs a program is found beyond the shell between', {
  skip: process.platform !== 'linux' && 'only Linux tells of other processes by files',
}, async () => {
  const module = fileURLToPath(new URL('npm-process.ts', import.meta.url));
  const program = `import('${module}').then(({ findNpm }) => console.log(findNpm(), process.ppid))`;
  const command = `"${process.execPath}" -e "${program}"; exit`;
  const npm = spawn('npm', ['exec', '--offline', '-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [found, parent] = (await text(npm.stdout)).trim().split(' ').map(Number);
  assert.equal(found, npm.pid);
  assert.notEqual(parent, npm.pid);
});

it('is whoever started the program where there is no npm', async () => {
  const module = fileURLToPath(new URL('npm-process.ts', import.meta.url));
  const program = `import('${module}').then(({ findNpm }) => console.log(findNpm() === process.ppid))`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  assert.equal((await text(child.stdout)).trim(), 'true');
});

it('a process that has ended is not there', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  const { pid = 0 } = child;
  assert.equal(isRunning(pid), true);
  await once(child, 'exit');
  assert.equal(isRunning(pid), false);
  assert.equal(isRunning(findNpm()), true);
});
