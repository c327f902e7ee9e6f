/**
 * Serves the page, as the web server of a shop would, from another origin than Waybill's.
 *
 *     node examples/browser/serve.mjs [PORT]
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const types = { '/index.html': 'text/html; charset=utf-8', '/waybill.js': 'text/javascript; charset=utf-8' };
const [port = '8000'] = process.argv.slice(2);

createServer(async ({ url = '/' }, response) => {
  const { pathname } = new URL(url, 'http://localhost');
  const path = pathname === '/' ? '/index.html' : pathname;
  const type = Object.entries(types).find(([name]) => name === path)?.[1];
  if (!type) return response.writeHead(404).end();
  response.setHeader('content-type', type);
  response.end(await readFile(new URL(`.${path}`, import.meta.url)));
}).listen(Number(port), '127.0.0.1', () => console.log(`open http://localhost:${port}/`));
