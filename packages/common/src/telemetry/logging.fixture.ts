/** The program that `logging.test.ts` runs: logs as much as it is told, answers, and stops as a service does. */

import { shutdownOnSignal } from '../process/shutdown.ts';
import { createLogger, flushLogs } from './logging.ts';

const log = createLogger({ service: 'fixture' });

process.on('message', (lines: number) => {
  for (let line = 0; line < lines; line += 1) log.info({ line, padding: 'x'.repeat(1_000) }, 'told to');
  process.send?.('logged');
});
shutdownOnSignal({ log, onSignal: () => {}, steps: [{ name: 'logs', run: flushLogs }] });
process.send?.({ pid: process.pid });
