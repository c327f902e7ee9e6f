/** Stands in for a service: says where it listens, is ready after the first look, takes SIGTERM in the way it is told. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let looks = 0;
const server = createServer((request, response) => {
  response.statusCode = request.url === '/health/ready' && looks++ > 0 ? 200 : 503;
  response.end(JSON.stringify(process.env));
}).listen(Number(process.env.HEALTH_PORT), '127.0.0.1', () => {
  if (process.env.FAIL) throw new Error('the stand-in fails');
  const { port } = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'listening', port, healthPort: port }));
});

process.on('SIGTERM', () => {
  console.log(JSON.stringify({ msg: 'stopping' }));
  server.close();
  server.closeAllConnections();
});
