import { Transport } from '@nestjs/microservices';

/** What both tiers tell NestJS of RabbitMQ: a durable queue, and requests that survive a restart of the broker. */
export const rmq = {
  transport: Transport.RMQ,
  options: {
    urls: [process.env.AMQP_URL],
    queue: 'bench.nestjs',
    queueOptions: { durable: true },
    persistent: true,
    prefetchCount: 256,
    socketOptions: { connectionOptions: { noDelay: true } },
  },
};
