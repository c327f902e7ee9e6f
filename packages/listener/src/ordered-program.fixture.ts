/**
 * A listener that takes `<service>.Step` in order: `ordered-program.fixture.ts <service>`. Each attempt leaves a line `started`.
 * It takes `data.ms`, and fails the first `data.stumbles` attempts.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { runListener } from './run-listener.ts';

const [service = 'ordered'] = process.argv.slice(2);

await runListener({
  service,
  handlers: {
    [`${service}.Step`]: {
      ordered: true,
      async handle({ data }, { attempt, log }) {
        const { ms = 0, stumbles = 0 } = data as Record<string, number | undefined>;
        log.info({ attempt }, 'started');
        await delay(ms);
        if (attempt <= stumbles) throw new Error('not yet');
        return { reply: { type: `${service}.Done` } };
      },
    },
  },
});
