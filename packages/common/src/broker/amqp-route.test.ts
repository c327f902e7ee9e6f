import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messagingDestination, queueOf, routeOf } from './amqp-route.ts';
import { type Binding, dispatcherTopology, listenerTopology, serviceQueues } from './amqp-topology.ts';
import type { Destination, Source } from './ports.ts';
import { PARTITIONS, RESERVED_SERVICES, WAIT_DELAYS_MS } from './topology.ts';

const { queues, bindings } = listenerTopology('svc', ['T'], [], ['T']);
const queueNames = queues.map(({ name }) => name);

test('every destination leads to a queue that a listener declares, and each to another one', () => {
  const destinations: Destination[] = [
    { type: 'T' },
    ...WAIT_DELAYS_MS.map((delayMs) => ({ service: 'svc', delayMs })),
    ...PARTITIONS.map((partition) => ({ type: 'T', partition })),
    { isolated: 'svc' },
    { replies: 'now' },
    { replies: 'later' },
    { deadLetters: 'T' },
  ];
  const reached = destinations.map((to) => {
    const { exchange, routingKey } = routeOf(to);
    if (exchange === '') return routingKey;
    const isBound = (binding: Binding) =>
      binding.exchange === exchange && ['', routingKey].includes(binding.routingKey);
    const bound = bindings.filter(isBound);
    assert.equal(bound.length, 1);
    return bound[0]?.queue;
  });
  // What asks for types is the one queue that nothing is sent to.
  assert.deepEqual(reached.sort(), queueNames.filter((name) => name !== 'waybill.svc.types').sort());
  assert.deepEqual(routeOf({ service: 'svc' }), { exchange: '', routingKey: 'waybill.svc' });
});

test('what is sent to a queue is consumed from it', () => {
  const pairs: [Destination, Source][] = [
    [{ service: 'svc' }, { work: 'svc' }],
    [{ isolated: 'svc' }, { isolated: 'svc' }],
    [
      { service: 'svc', partition: 3 },
      { of: 'svc', partition: 3 },
    ],
    [{ replies: 'now' }, { replies: true }],
  ];
  for (const [to, from] of pairs) assert.equal(routeOf(to).routingKey, queueOf(from));
  assert.equal(queueOf({ deadLetters: true }), 'waybill.dead-letters');
});

test('a service of a reserved name would have a queue that others share, and no other name would', () => {
  const shared = dispatcherTopology.queues.map(({ name }) => name);
  const taken = RESERVED_SERVICES.map((service) => serviceQueues(service).work);
  // A service's name has no dots.
  assert.deepEqual(taken.sort(), shared.filter((name) => name.split('.').length === 2).sort());
});

test('a destination is named exchange, routing key and queue, without what is empty or said twice', () => {
  const nameOf = (...args: Parameters<typeof messagingDestination>) => messagingDestination(...args).name;
  assert.equal(nameOf({ exchange: 'x', routingKey: 'T' }), 'x:T');
  assert.equal(nameOf({ exchange: 'x', routingKey: 'T' }, 'q'), 'x:T:q');
  assert.equal(nameOf({ exchange: '', routingKey: 'q' }, 'q'), 'q');
  assert.equal(nameOf({ exchange: 'q', routingKey: 'q' }, 'q'), 'q:q');
});
