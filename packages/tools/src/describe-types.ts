/** Writes down what listeners say of the data of their types: JSON for the setting TYPE_DESCRIPTIONS, or TypeScript for clients. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import { describeTypes, type Handlers } from '@waybill/listener';
import { programName } from '../../../bin/plain/program-name.mjs';
import { runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { toClientTypes } from './client-types.ts';

const usage = `usage: ${programName('describe-types.mjs')} [options] <file>…

  Each file is a module of a listener that exports its \`handlers\` and, imported, does not run it
  (if (import.meta.main) await runListener(…)). Prints what the schemas of the handlers say, as JSON for TYPE_DESCRIPTIONS.

  --types    print TypeScript for clients instead
  --help     print this`;

await runProgram(async () => {
  const { values, positionals } = read();
  if (values.help) {
    console.log(usage);
    return 0;
  }
  if (positionals.length === 0) throw new UserError('name the modules that export handlers; see --help');
  const described: TypeDescriptions[] = [];
  for (const file of positionals) described.push(await describeModule(file));
  const types: TypeDescriptions = Object.assign({}, ...described);
  console.log(values.types ? await toClientTypes(types) : JSON.stringify(types, null, 2));
  return 0;
});

function read() {
  try {
    const options = { types: { type: 'boolean' }, help: { type: 'boolean' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}

async function describeModule(file: string): Promise<TypeDescriptions> {
  const { handlers } = await importModule(file);
  if (typeof handlers !== 'object' || handlers === null) throw new UserError(`${file} exports no handlers`);
  return describeTypes(handlers as Handlers, (type, reason) =>
    console.error(`${type} is described without its data: ${reason}`),
  );
}

async function importModule(file: string): Promise<{ handlers?: unknown }> {
  try {
    return await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    throw new UserError(`${file} cannot be imported: ${(error as Error).message}`);
  }
}
