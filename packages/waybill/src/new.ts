/** `npx waybill new NAME`: makes a project with a listener, its tests and a Dockerfile. */
import { parseArgs } from 'node:util';
import { programName } from '../../../bin/plain/program-name.mjs';
import { runProgram, UserError } from '../../../bin/plain/user-error.mjs';
import { createProject } from './create-project.ts';

const usage = `usage: ${programName('new')} NAME [options]

  --js    in JavaScript (default: TypeScript)
  --help  print this

NAME is the folder that is made, and the name of the listener's service: lower-case letters, digits and -.`;

await runProgram(async () => {
  const { help, name, language } = readOptions();
  if (help) return console.log(usage);
  createProject({ name, language, into: process.cwd() });
  console.log(`${name} is made. Go on with:

  cd ${name}
  npm install
  npm test
  npx waybill dev

and, while that runs, in another terminal:

  npx waybill send Order.Place --data '{"sku":"tea","quantity":2}'`);
});

function readOptions() {
  const { values, positionals } = parse();
  const [name = '', ...rest] = positionals;
  if (!values.help && (name === '' || rest.length > 0)) throw new UserError('give one name; see --help');
  return { help: values.help, name, language: values.js ? ('javascript' as const) : ('typescript' as const) };
}

function parse() {
  try {
    const options = {
      js: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    } as const;
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
