/**
 * `npm run bench:clients`: what clients that stay take; docs/clients.md has a run of each. Only `active` needs a RabbitMQ: to the others the
 * broker makes no difference, and they start the embedded one.
 *
 *     npm run bench:clients -- idle                         10,000 WebSockets that do nothing: memory and CPU
 *     npm run bench:clients -- mailboxes                    100,000 mailboxes of clients that have gone
 *     npm run bench:clients -- storm                        10,000 clients lose their connections at once
 *     npm run bench:clients -- active                       2,000 clients that send all the time, beside plain requests
 *     npm run bench:clients -- plain                        plain requests where there is a store, beside such where there is none
 *     npm run bench:clients -- active --database postgresql --count 500 --seconds 5
 *
 * Exits 1 when something was lost or wrong, or takes more than is promised.
 */
import { parseArgs } from 'node:util';
import { allowedOpenFiles } from '@waybill/common/process/open-files.ts';
import { measureActive } from './clients/active.ts';
import { createDatabase } from './clients/database.ts';
import { startEmbeddedBroker } from './clients/embedded-broker.ts';
import { measureIdle } from './clients/idle.ts';
import { measureMailboxes } from './clients/mailboxes.ts';
import { measurePlain } from './clients/plain.ts';
import { measureStorm } from './clients/storm.ts';
import { toCount } from './options.ts';
import { startBroker } from './start-broker.ts';

const MODES = {
  idle: { measure: measureIdle, count: '10000', openBroker: startEmbeddedBroker },
  mailboxes: { measure: measureMailboxes, count: '100000', openBroker: startEmbeddedBroker },
  storm: { measure: measureStorm, count: '10000', openBroker: startEmbeddedBroker },
  plain: { measure: measurePlain, count: '64', openBroker: startEmbeddedBroker },
  active: { measure: measureActive, count: '2000', openBroker: startBroker },
};
/** What a process has open besides its clients. */
const OTHER_FILES = 200;
/** Of what is wrong. */
const MAX_SHOWN = 20;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string' },
    seconds: { type: 'string', default: '8' },
    database: { type: 'string', default: 'sqlite' },
  },
});
const [name = ''] = positionals;
const mode = MODES[name as keyof typeof MODES];
if (!mode || positionals.length > 1) throw new Error(`which: ${Object.keys(MODES).join(', ')}?`);
const count = toCount('count', values.count ?? mode.count);
const seconds = toCount('seconds', values.seconds);
const files = name === 'mailboxes' ? OTHER_FILES : count + OTHER_FILES;
const allowed = allowedOpenFiles() ?? files;
if (allowed < files) throw new Error(`${allowed} files may be open, and ${files} have to: raise ulimit -n`);

const database = await createDatabase(values.database);
const broker = await mode.openBroker();
const faults = await mode.measure({ broker, database, count, seconds });
await database.stop();
for (const fault of faults.slice(0, MAX_SHOWN)) console.error(fault);
if (faults.length > MAX_SHOWN) console.error(`and ${faults.length - MAX_SHOWN} more`);
process.exit(faults.length > 0 ? 1 : 0);
