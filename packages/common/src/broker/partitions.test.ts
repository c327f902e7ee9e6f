import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { CloudEvent } from '../event/event.ts';
import { destinationOf, partitionOf, withPartitions } from './partitions.ts';

const event = (type: string, partitionkey?: unknown): CloudEvent => ({
  ...{ specversion: '1.0', id: '1', source: '/test', type },
  ...(partitionkey !== undefined && { partitionkey }),
});

it('computes the partition of a key as others do: crc32 of its UTF-8, modulo 8', () => {
  const expected = { 'customer-1': 5, Привет: 1, 7: 2 };
  for (const [key, partition] of Object.entries(expected))
    assert.equal(partitionOf(event('T', key)), partition);
  assert.equal(partitionOf(event('T', 7)), partitionOf(event('T', '7')));
  assert.equal(partitionOf(event('T')), undefined);
  assert.equal(partitionOf(event('T', '')), undefined);
});

it('sends an event with a key to its partition where somebody takes its type in order, and else to who takes the type', async (t) => {
  const broker = createMemoryBroker({
    topology: { service: 'svc', types: ['Ordered', 'Plain'], orderedTypes: ['Ordered'] },
  });
  t.after(() => broker.close());
  const written: string[] = [];
  const publisher = withPartitions({
    ...broker.publisher,
    publish(message) {
      written.push(broker.publisher.describe(message.to).name);
      return broker.publisher.publish(message);
    },
  });
  await eventually(() => assert.ok(publisher.isAvailable()));
  const publish = (each: CloudEvent) =>
    publisher.publish({ to: publisher.destinationOf(each), contentType: '', body: Buffer.alloc(0) });

  for (const type of ['Ordered', 'Ordered', 'Plain', 'Plain', 'Nobody', 'Nobody'])
    written.push(`${type} ${await publish(event(type, 'customer-1'))}`);
  written.push(await publish(event('Ordered')));
  // Listeners name the partition whenever there is a key.
  const to = destinationOf(event('Plain', 'customer-1'));
  written.push(await publisher.publish({ to, contentType: '', body: Buffer.alloc(0) }));

  assert.deepEqual(written, [
    ...['waybill.events:Ordered:5', 'Ordered confirmed', 'waybill.events:Ordered:5', 'Ordered confirmed'],
    // Once that is known, as nobody takes it in order, it goes the plain way at once.
    ...['waybill.events:Plain:5', 'waybill.events:Plain', 'Plain confirmed'],
    ...['waybill.events:Plain', 'Plain confirmed'],
    ...['waybill.events:Nobody:5', 'waybill.events:Nobody', 'Nobody unroutable'],
    ...['waybill.events:Nobody:5', 'waybill.events:Nobody', 'Nobody unroutable'],
    ...['waybill.events:Ordered', 'confirmed'],
    ...['waybill.events:Plain', 'confirmed'],
  ]);
});

it('sends an event with a key, of two services that take its type, to the one that takes it in order alone', async (t) => {
  const types = ['T'];
  const broker = createMemoryBroker({ topology: { service: 'ordered', types, orderedTypes: types } });
  t.after(() => broker.close());
  const publisher = withPartitions(broker.publisher);
  await eventually(() => assert.ok(publisher.isAvailable()));
  const other = broker.connect({ topology: { service: 'plain', types } });
  await eventually(() => assert.ok(other.publisher.isAvailable()));

  for (const each of [event('T', 'customer-1'), event('T')]) {
    const message = { to: publisher.destinationOf(each), contentType: '', body: Buffer.alloc(0) };
    assert.equal(await publisher.publish(message), 'confirmed');
  }

  const waiting = ['ordered.p5', 'ordered', 'plain'].map((name) => broker.queues()[`waybill.${name}`]?.ready);
  // To both what has no key.
  assert.deepEqual(waiting, [1, 1, 1]);
});
