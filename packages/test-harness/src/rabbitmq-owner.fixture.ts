/** Starts a RabbitMQ, says where it is, and waits to be killed. */
import { startRabbitmq } from './rabbitmq.ts';

const rabbitmq = await startRabbitmq();
console.log(JSON.stringify({ pid: rabbitmq.pid, folder: rabbitmq.folder }));
