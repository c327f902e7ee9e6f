/** The listener in Moleculer: `node bench/peers/moleculer-worker.mjs`, with AMQP_URL. */
import { createNode } from './moleculer-node.mjs';

const node = createNode('worker');
node.createService({
  name: 'ping',
  actions: {
    ping: ({ params }) => ({ type: 'PingResponse', data: { ...params, receivedAt: Date.now() } }),
  },
});
await node.start();
console.log(JSON.stringify({ msg: 'listening' }));
