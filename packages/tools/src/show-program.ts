/** Runs programs of ours before the user's eyes, as the user would. */
import { spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programName } from '../../../bin/plain/program-name.mjs';
import { UserError } from '../../../bin/plain/user-error.mjs';

/** Each by the file that a user of the repository runs, and by the command of one who has installed `waybill`. */
const programs = {
  req: { url: new URL('../../../bin/req.mjs', import.meta.url), command: 'send' },
  trace: { url: new URL('../../../bin/trace.mjs', import.meta.url), command: 'trace' },
  'dataset-client': {
    url: new URL(`dataset-client${extname(import.meta.filename)}`, import.meta.url),
    command: 'dataset-client',
  },
  mesh: { url: new URL(`mesh${extname(import.meta.filename)}`, import.meta.url), command: 'mesh' },
};
/** Whether the demo is run by one who has installed `waybill`. */
export const isByNpx = programName('demo.mjs').startsWith('npx ');

/**
 * Runs a program of ours as the user would.
 *
 * @param options whether its output is read on its way, else it sees the terminal itself; what is added to its environment
 * @returns its output, if it was read
 */
export async function show(
  program: keyof typeof programs,
  args: string[],
  { isRead = true, env = {} }: { isRead?: boolean; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const { url, command } = programs[program];
  const name = isByNpx ? `waybill ${command}` : `bin/${program}.mjs`;
  console.log(`$ ${[isByNpx ? 'npx' : 'node', name, ...args].join(' ')}`);
  const child = spawn(process.execPath, [fileURLToPath(url), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', isRead ? 'pipe' : 'inherit', 'inherit'],
  });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk) => {
    text += chunk;
    process.stdout.write(chunk);
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (code !== 0) throw new UserError(`the demo failed: ${name} ended with exit code ${code}`);
  return text;
}
