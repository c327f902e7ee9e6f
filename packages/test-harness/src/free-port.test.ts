import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { it } from 'node:test';
import { freePort } from './free-port.ts';

/** A process that takes itself for this one, says a port, and stays. */
const program = `
  Object.defineProperty(process, 'pid', { value: ${process.pid} });
  const { freePort } = await import('${new URL('./free-port.ts', import.meta.url)}');
  console.log(await freePort());
  setInterval(() => {}, 1e6);
`;

it('looks in a place of its own for each process, however alike their ids are', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  assert.notEqual(first, second);
  assert.equal(placeOf(first), placeOf(second));

  const places = [placeOf(first)];
  for (let processes = 0; processes < 3; processes += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    t.after(() => child.kill('SIGKILL'));
    const [output] = await once(child.stdout, 'data');
    places.push(placeOf(Number(output)));
  }
  assert.equal(new Set(places).size, 4, `${places}`);
});

/** Every 500 ports are one. */
function placeOf(port: number): number {
  return Math.floor(port / 500);
}
