/** A listener with the handlers of `behaviours.fixture.ts`: `behaviours-program.fixture.ts <service>`. */
import { runService } from '@waybill/common/process/run-service.ts';
import { createBehaviours } from './behaviours.fixture.ts';
import { loadListenerConfig } from './config.ts';
import { connectListener } from './connect-listener.ts';
import { createStoredResults } from './stored-results.ts';

const [service = 'behaviours'] = process.argv.slice(2);

await runService(loadListenerConfig, async ({ config, log }) => {
  const results = process.env.STORE_URLS ? createStoredResults({ name: service }) : undefined;
  const handlers = createBehaviours(service, { results });
  const listener = await connectListener({ service, handlers, config, log });
  return {
    readiness: listener.readiness,
    drain: () => Promise.all([listener.drain(), log.info('ends what else it does')]),
    close: () => Promise.all([listener.close(), log.info('closed what else is open')]),
  };
});
