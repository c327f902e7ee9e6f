/** The public tier in Moleculer, behind fastify: `node bench/peers/moleculer-gateway.mjs`, with AMQP_URL. */
import { fastify } from 'fastify';
import { createNode } from './moleculer-node.mjs';

const node = createNode('gateway');
await node.start();
await node.waitForServices('ping');

const app = fastify();
app.post('/', ({ body }) => node.call('ping.ping', body.data));
await app.listen({ host: '127.0.0.1', port: 0 });
console.log(JSON.stringify({ msg: 'listening', port: app.server.address().port }));
