/** A listener that observes pings and misbehaves as its argument says: `fail`, `hang`, `crash` or `see`; or that answers them. */
import { type Observer, runListener } from '@waybill/listener';

const [way = ''] = process.argv.slice(2);

const observe: Observer = (_event, { log }) => {
  if (way === 'fail') throw new Error('the disk is full');
  if (way === 'crash') process.kill(process.pid, 'SIGKILL');
  if (way === 'hang') return new Promise(() => {});
  log.info('seen');
};

await runListener({
  service: `observing-${way}`,
  ...(way === 'answer' ? { handlers: { PingRequest: () => {} } } : { observers: { PingRequest: observe } }),
});
