/** The service `audit`: sees what `orders` answers, from a queue of its own. It may fail or be away, and no client notices. */
import { runListener } from '@waybill/listener';

await runListener({
  service: 'audit',
  observers: {
    'Order.Place': ({ id, data }, { log }) => log.info({ order: id, data }, 'somebody wants to buy'),
    'Order.Pay': ({ id }, { log }) => log.info({ payment: id }, 'somebody pays'),
  },
});
