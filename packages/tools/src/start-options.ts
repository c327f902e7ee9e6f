import { parseArgs } from 'node:util';
import { toNumber, UserError } from '../../../bin/plain/user-error.mjs';

/** What a system is started with besides its settings. */
export type StartOptions = {
  help: boolean;
  /** Is added to each port that no variable sets. */
  portOffset: number;
  /** Whether those that send datasets are left out. */
  withoutDatasets: boolean;
  /** What is named besides. */
  files: string[];
};

/** @throws UserError names the option that is none */
export function readStartOptions({ allowsFiles = false, hasDatasets = false } = {}): StartOptions {
  try {
    const options = {
      help: { type: 'boolean', default: false },
      'port-offset': { type: 'string', default: '0' },
      'without-datasets': { type: 'boolean', default: false },
    } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: allowsFiles });
    const portOffset = toNumber('port-offset', values['port-offset'], 0);
    const withoutDatasets = values['without-datasets'];
    if (withoutDatasets && !hasDatasets) throw new Error("Unknown option '--without-datasets'");
    return { help: values.help, portOffset, withoutDatasets, files: positionals };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
