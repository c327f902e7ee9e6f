import { ServiceBroker } from 'moleculer';

/**
 * A node of a Moleculer system on the broker of AMQP_URL: requests and replies go to queues of the nodes, and a crash
 * of anything loses what is under way, which is its default.
 *
 * @param {string} nodeID
 */
export function createNode(nodeID) {
  return new ServiceBroker({
    nodeID,
    logLevel: 'warn',
    transporter: {
      type: 'AMQP',
      options: { url: process.env.AMQP_URL, prefetch: 256, socketOptions: { noDelay: true } },
    },
  });
}
