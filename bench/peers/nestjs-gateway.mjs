/** The public tier in NestJS, over fastify: `node bench/peers/nestjs-gateway.mjs`, with AMQP_URL. */
import 'reflect-metadata';
import { Body, Controller, HttpCode, Inject, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientsModule } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { rmq } from './nestjs-options.mjs';

class PingController {
  constructor(client) {
    this.client = client;
  }

  ping(body) {
    return this.client.send('ping', body.data);
  }
}
// Node runs no decorators, so they are called as compiled ones are.
const descriptor = Object.getOwnPropertyDescriptor(PingController.prototype, 'ping');
Inject('LISTENER')(PingController, undefined, 0);
Body()(PingController.prototype, 'ping', 0);
HttpCode(200)(PingController.prototype, 'ping', descriptor);
Post()(PingController.prototype, 'ping', descriptor);
Controller()(PingController);

class AppModule {}
Module({
  imports: [ClientsModule.register([{ name: 'LISTENER', ...rmq }])],
  controllers: [PingController],
})(AppModule);

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: ['error', 'warn'] });
await app.listen(0, '127.0.0.1');
console.log(JSON.stringify({ msg: 'listening', port: app.getHttpServer().address().port }));
