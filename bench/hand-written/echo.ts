/** What HTTP and JSON alone cost: the public tier answers by itself. The ceiling of every system behind it. */
import { fastify } from 'fastify';
import { listenAndTell } from './listen-and-tell.ts';

const app = fastify();
app.post<{ Body: { data: object } }>('/', async ({ body }) => ({
  type: 'PingResponse',
  data: { ...body.data, receivedAt: Date.now() },
}));
await listenAndTell(app);
