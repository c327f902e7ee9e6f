/** The program that `telemetry.test.ts` runs under the preload: one way a service uses telemetry per mode. */
import { createNoopMeter, metrics } from '@opentelemetry/api';
import { fastify } from 'fastify';
import { request } from 'undici';
import { createHttpServer } from '../http/http-server.ts';
import { instanceId, nameService } from '../instance.ts';
import { createLogger, flushLogs } from './logging.ts';
import { events, parked, reconnects } from './metrics.ts';
import { shutdownTelemetry } from './shutdown-telemetry.ts';
import { type MessagingDestination, startEventSpan, untraced } from './tracing.ts';
import { failingExports } from './watch-exports.ts';

nameService('fixture-service');
const log = createLogger({ service: 'fixture' });

const modes: Record<string, () => unknown> = {
  serve,
  'flush, then exit when told': async () => {
    log.info('last words');
    await flushLogs();
    log.info('to stdout only');
    process.once('message', () => setImmediate(() => process.exit(0)));
    process.send?.('flushed');
  },
  'exit at once': () => {
    log.info('last words');
    process.exit(0);
  },
  'go on until three signals fail': () => {
    let failing = 0;
    failingExports.subscribe(() => {
      failing += 1;
      if (failing === 3) setTimeout(() => process.exit(0), 1_000);
    });
    setInterval(() => {
      startEventSpan({ name: 'send', kind: 'producer', event, label: event.type }).end();
      log.info('on and on');
      reconnects.add(1);
    }, 10);
  },
  'exit on SIGTERM': () => {
    const keepAlive = setInterval(() => {}, 60_000);
    process.once('SIGTERM', () => {
      clearInterval(keepAlive);
      startEventSpan({ name: 'send', kind: 'producer', event, label: event.type }).end();
      log.info('last words');
      reconnects.add(1);
      void stop();
    });
    const { traceparent } = startEventSpan({ name: 'process', kind: 'consumer', event, label: event.type });
    process.send?.({
      traces: traceparent !== undefined,
      metrics: metrics.getMeter('waybill') !== createNoopMeter(),
    });
  },
};

const event = { id: 'e-1', type: 'PingRequest', source: '/fixture' };
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

await modes[process.argv[2] ?? '']?.();

async function stop(): Promise<void> {
  await Promise.all([flushLogs(), shutdownTelemetry()]);
  process.exit(0);
}

async function serve(): Promise<void> {
  const silent = log.child({}, { level: 'silent' });
  const edge = createHttpServer({ log: silent, tracing: { clientAddressOf: () => '192.0.2.1' } });
  const internal = createHttpServer({ log: silent });
  const ofHandler = fastify();
  let upstream = '';

  ofHandler.put('/of/handler', async () => ({}));
  edge.get('/health/live', async () => ({}));
  edge.get('/headers', async ({ headers }) => headers);
  edge.post('/call/:id', async () => {
    log.info({ event_id: event.id, event_type: event.type }, 'called');
    events.add(1, { 'cloudevents.event_type': event.type });
    parked.addCallback((result) => result.observe(1));
    return (await request(`${upstream}/headers`)).body.json();
  });
  edge.post('/send', async () => {
    const sending = startEventSpan({
      name: 'send',
      kind: 'producer',
      event,
      label: event.type,
      destination: destinationNamed(`waybill.events:${event.type}`),
      parent: 'active',
    });
    const answer = await untraced(() => request(`${upstream}/headers`));
    sending.end();
    return {
      traceparent: sending.traceparent,

      headers: await answer.body.json(),
    };
  });
  edge.post('/fail', async (_request, reply) => {
    const sending = startEventSpan({
      ...{ name: 'send', kind: 'producer', event, label: event.type, parent: 'active' },
    });
    sending.end({ code: 'outcome-unknown' });
    return reply.code(504).send({ traceparent: sending.traceparent });
  });
  internal.post('/events', async () => {
    const traced = { ...event, traceparent: TRACEPARENT, tracestate: 'vendor=1' };
    const routing = startEventSpan({
      name: 'route',
      kind: 'consumer',
      event: traced,
      label: '_OTHER',
      destination: destinationNamed(`waybill.events:${event.type}:waybill.ping`),
      batchSize: 3,
    });
    routing.end({ code: 'handler-failed', message: 'no luck' });
    return { traceparent: routing.traceparent, tracestate: routing.tracestate };
  });

  upstream = await edge.listen({ host: '127.0.0.1', port: 0 });
  const internalAddress = await internal.listen({ host: '127.0.0.1', port: 0 });
  const ofHandlerAddress = await ofHandler.listen({ host: '127.0.0.1', port: 0 });
  process.on('disconnect', () => process.exit(0));
  process.once('SIGTERM', () => void stop());
  process.send?.({ edge: upstream, internal: internalAddress, ofHandler: ofHandlerAddress, instanceId });
}

function destinationNamed(name: string): MessagingDestination {
  return { system: 'rabbitmq', name, attributes: { 'rabbitmq.destination.routing_key': event.type } };
}
