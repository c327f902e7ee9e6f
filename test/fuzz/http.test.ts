import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import fc from 'fast-check';
import {
  callKeys,
  type FuzzedSystem,
  openSockets,
  startFuzzedSystem,
  takesSignedCall,
} from './fuzzed-system.ts';
import { anyRequest, type Endpoint, type FuzzedRequest } from './http-requests.ts';
import { fuzz } from './options.ts';
import { exchange } from './raw-connection.ts';

/** Sent at the same time; the smallest port takes 100 connections. */
const AT_ONCE = 40;
const healthEndpoints = ['/health/live', '/health/ready'].map((path) => ({ method: 'GET', path }));
/** 501 to 504 are documented outcomes; 1xx to 4xx are the client's. */
const DOCUMENTED = /^(?:[1-4]\d\d|50[1-4])$/;

describe('whatever a stranger sends by HTTP is answered with a documented status, or closed where none is due, and the process serves on:', () => {
  let system: FuzzedSystem;
  let socketsBefore: number[];
  before(async () => {
    system = await startFuzzedSystem();
    await system.answersPing();
    socketsBefore = system.services.map(openSockets);
  });
  after(() => system?.stop());

  const internal = { keys: callKeys };
  /** The port and the routes of each server, and a good request to it. */
  const servers: Record<string, [port: (of: FuzzedSystem) => number | undefined, Endpoint[], good: Good]> = {
    'public-web': [
      ({ publicWeb }) => publicWeb.port,
      [
        ...['/', '/events', '/ping', '/clients'].map((path) => ({ method: 'POST', path })),
        ...['/ping', '/docs', '/docs/static/index.html', '/openapi.json'].map((path) => ({
          method: 'GET',
          path,
        })),
        ...healthEndpoints,
      ],
      ({ answersPing }) => answersPing(),
    ],
    'public-web, internal': [
      ({ publicWeb }) => publicWeb.internalPort,
      [{ method: 'POST', path: '/dispatch', ...internal }],
      ({ publicWeb }) => takesSignedCall(publicWeb.internalPort as number, '/dispatch'),
    ],
    dispatcher: [
      ({ dispatcher }) => dispatcher.port,
      [{ method: 'POST', path: '/events', ...internal }],
      ({ dispatcher }) => takesSignedCall(dispatcher.port as number, '/events'),
    ],
    'dispatcher, health': health(({ dispatcher }) => dispatcher),
    'ping-listener, health': health(({ pingListener }) => pingListener),
    'data-dispatch-listener, health': health(({ dataListener }) => dataListener),
    'dataset-generator, health': health(({ generator }) => generator),
    'dev-telemetry': [
      ({ collector }) => collector.port,
      [
        ...['/v1/traces', '/v1/logs', '/v1/metrics'].map((path) => ({ method: 'POST', path })),
        { method: 'GET', path: `/api/v2/traces/${'a'.repeat(32)}` },
        { method: 'GET', path: '/loki/api/v1/query_range?query=x&limit=%00&start=1e9' },
      ],
      ({ collector }) => collector.ready(),
    ],
  };
  for (const [name, [portOf, endpoints, good]] of Object.entries(servers))
    for (const endpoint of endpoints)
      it(`${name}, ${endpoint.method} ${endpoint.path}`, async () => {
        const port = portOf(system) as number;
        const requests = fc.array(anyRequest(endpoint), { minLength: AT_ONCE, maxLength: AT_ONCE });
        await fc.assert(
          fc.asyncProperty(requests, async (requests) => {
            await Promise.all(requests.map((request) => assertAnswered(port, request)));
            await good(system);
          }),
          fuzz({ numRuns: 4 }),
        );
      });

  it('leaves no socket open in any process', {
    skip: process.platform !== 'linux' && 'reads /proc',
  }, async () => {
    await eventually(() => {
      const left = system.services.map((service, i) => openSockets(service) - (socketsBefore[i] as number));
      // Between tiers they keep a few, which come and go.
      assert(
        left.every((more) => more < AT_ONCE / 2),
        `more sockets than before: ${left}`,
      );
    });
  });
});

type Good = (system: FuzzedSystem) => Promise<void>;

function health(serviceOf: (of: FuzzedSystem) => Service) {
  return [
    (of: FuzzedSystem) => serviceOf(of).healthPort,
    healthEndpoints,
    (of: FuzzedSystem) => serviceOf(of).ready(),
  ] as [(of: FuzzedSystem) => number | undefined, Endpoint[], Good];
}

async function assertAnswered(port: number, request: FuzzedRequest): Promise<void> {
  const answer = await exchange(port, request, { isPatient: request.isAnswerDue });
  const shown = `${request.bytes.toString('latin1', 0, 4_000)}\n was answered:\n${answer.toString('latin1', 0, 1_000)}`;
  const statuses = statusesOf(answer);
  for (const status of statuses) assert.match(status, DOCUMENTED, shown);
  if (request.isAnswerDue) assert(statuses.some(isFinal), shown);
}

function isFinal(status: string): boolean {
  return !status.startsWith('1');
}

/** The statuses of all answers on one connection, unless they are none of HTTP. */
function statusesOf(answer: Buffer): string[] {
  const text = answer.toString('latin1');
  assert(text === '' || text.startsWith('HTTP/1.1 '), `not HTTP: ${text}`);
  return [...text.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status as string);
}
