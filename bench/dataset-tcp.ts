import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/** All that a port of this machine sends. */
export async function receiveAll(port: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of connect(port, '127.0.0.1')) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads what a port of this machine sends to its end, and keeps nothing but how many bytes it was. */
export async function receive(port: number): Promise<number> {
  let bytes = 0;
  for await (const chunk of connect(port, '127.0.0.1')) bytes += chunk.length;
  return bytes;
}

/** Has `cat` write a file into each connection to the port that this resolves with. */
export async function serveByCat(path: string): Promise<number> {
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const cat = spawn('cat', [path], { stdio: ['ignore', socket, 'inherit'] });
    cat.once('exit', () => socket.end());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}
