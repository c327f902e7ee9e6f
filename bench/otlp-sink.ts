/**
 * Takes telemetry by OTLP over HTTP and drops it: `node bench/otlp-sink.ts`. `/<name>/v1/…` counts for that name;
 * `GET /` answers what came so far, as `{ "<name>": { "exports": 12, "bytes": 34567 } }`.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Received } from './telemetry-sink.ts';

const received: Record<string, Received> = {};
const server = createServer(async (request, response) => {
  if (request.method === 'GET') return response.end(JSON.stringify(received));
  const [, name = ''] = request.url?.split('/') ?? [];
  received[name] ??= { exports: 0, bytes: 0 };
  received[name].exports += 1;
  for await (const chunk of request) received[name].bytes += chunk.length;
  response.setHeader('content-type', request.headers['content-type'] ?? '');
  response.end(request.headers['content-type'] === 'application/json' ? '{}' : '');
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', port }));
});
