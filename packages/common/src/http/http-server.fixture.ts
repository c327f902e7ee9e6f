/** A server on loopback for the tests of `http-server.ts`, and raw connections to it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { createHttpServer, type HttpServerOptions, portOf } from './http-server.ts';

export type ServeOptions = Partial<Omit<HttpServerOptions, 'log'>> & { routes(app: FastifyInstance): void };

/** Serves `routes` until the test ends. `logs` has what requests caused to be logged; grows. */
export async function serve(t: TestContext, { routes, ...options }: ServeOptions) {
  const logs: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logs.push(line) });
  const app = createHttpServer({ log, ...options });
  routes(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  logs.length = 0; // Fastify's own line about where it listens
  t.after(() => {
    app.server.closeAllConnections();
    return app.close();
  });
  const port = portOf(app) as number;

  /** A TCP connection to the server. */
  async function open(): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  }

  return { app, url: `http://127.0.0.1:${port}`, logs, open };
}

/** The text of a GET request on a connection that is kept alive. */
export const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: test\r\n\r\n`;

/** What comes next on a connection. Ask before sending. */
export async function nextAnswer(socket: Socket): Promise<string> {
  return String((await once(socket, 'data'))[0]);
}
