import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('docker-compose.yml publishes public-web and Grafana alone, on loopback', () => {
  assert.deepEqual(publishedPorts(), [
    `public-web 127.0.0.1:\${PUBLIC_WEB_PORT:-8080}:8080`,
    `public-web 127.0.0.1:\${PUBLIC_WEB_GRPC_PORT:-50051}:50051`,
    `grafana 127.0.0.1:\${GRAFANA_PORT:-3000}:3000`,
  ]);
});

/** Each with its service: the lines that say `ports:`, and the items of a list below one. */
function publishedPorts(): string[] {
  const published: string[] = [];
  let service = '';
  let isInPorts = false;
  for (const line of readFileSync('docker-compose.yml', 'utf8').split('\n')) {
    service = /^ {2}([\w-]+):$/.exec(line)?.[1] ?? service;
    isInPorts = /^ {4}ports:/.test(line) || (isInPorts && /^ {6}/.test(line));
    if (isInPorts) for (const [, port] of line.matchAll(/"([^"]+)"/g)) published.push(`${service} ${port}`);
  }
  return published;
}
