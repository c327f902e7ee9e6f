/** The embedded broker as a process. SIGTERM and SIGINT tell the clients, close their connections and exit 0. */
import { loadConfig } from './config.ts';
import { createEmbeddedBroker } from './create-embedded-broker.ts';
import { createJsonLog } from './log.ts';

// A full disk, or a reader that is gone, costs the lines and not the broker.
process.stdout.on('error', () => {});
const log = createJsonLog((line) => process.stdout.write(line));

try {
  const broker = await createEmbeddedBroker({ ...loadConfig(), log });
  log.info({ port: broker.port }, 'listening');
  log.warn({}, 'in memory, for development and tests only: what this broker holds is gone when it stops');
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.once(signal, async () => {
      log.info({ signal }, 'embedded broker stops');
      await broker.close();
    });
} catch (error) {
  process.exitCode = 1;
  console.error(explain(error as NodeJS.ErrnoException & { port?: number }));
}

function explain(error: NodeJS.ErrnoException & { port?: number }): string {
  if (error.code !== 'EADDRINUSE') return error.message;
  return `port ${error.port} is taken: stop what uses it, or set another with AMQP_PORT`;
}
