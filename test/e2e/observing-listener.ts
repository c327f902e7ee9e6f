/** A listener that observes pings and misbehaves as its argument says: `fail`, `hang`, `crash` or `see`. */
import { runListener } from '@waybill/listener';

const [way = ''] = process.argv.slice(2);

await runListener({
  service: `observing-${way}`,
  observers: {
    PingRequest(_event, { log }) {
      if (way === 'fail') throw new Error('the disk is full');
      if (way === 'crash') process.kill(process.pid, 'SIGKILL');
      if (way === 'hang') return new Promise(() => {});
      log.info('seen');
    },
  },
});
