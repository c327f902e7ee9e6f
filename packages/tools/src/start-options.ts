import { parseArgs } from 'node:util';
import { toNumber, UserError } from '../../../bin/plain/user-error.mjs';

/** What a system is started with besides its settings. */
export type StartOptions = {
  help: boolean;
  /** Is added to each port that no variable sets. */
  portOffset: number;
};

/** @throws UserError names the option that is none */
export function readStartOptions(): StartOptions {
  try {
    const options = {
      help: { type: 'boolean', default: false },
      'port-offset': { type: 'string', default: '0' },
    } as const;
    const { values } = parseArgs({ options });
    return { help: values.help, portOffset: toNumber('port-offset', values['port-offset'], 0) };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
