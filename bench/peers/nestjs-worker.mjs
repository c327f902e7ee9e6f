/** The listener in NestJS, acking what it has handled: `node bench/peers/nestjs-worker.mjs`, with AMQP_URL. */
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { rmq } from './nestjs-options.mjs';

class PingController {
  ping(data, context) {
    context.getChannelRef().ack(context.getMessage());
    return { type: 'PingResponse', data: { ...data, receivedAt: Date.now() } };
  }
}
// Node runs no decorators, so they are called as compiled ones are.
Payload()(PingController.prototype, 'ping', 0);
Ctx()(PingController.prototype, 'ping', 1);
MessagePattern('ping')(
  PingController.prototype,
  'ping',
  Object.getOwnPropertyDescriptor(PingController.prototype, 'ping'),
);
Controller()(PingController);

class AppModule {}
Module({ controllers: [PingController] })(AppModule);

const app = await NestFactory.createMicroservice(AppModule, {
  ...rmq,
  options: { ...rmq.options, noAck: false },
  logger: ['error', 'warn'],
});
await app.listen();
console.log(JSON.stringify({ msg: 'listening' }));
