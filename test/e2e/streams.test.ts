/** Contract 4: clients that know its tables alone, over all tiers. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createNimbusStranger, type NimbusStranger } from '@waybill/test-harness/nimbus-stranger.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { grpcAddressOf, type System, startSystem } from './system.ts';

const COUNTS = { 'public-web': 2, dispatcher: 2, 'square-listener': 2, 'ping-listener': 0 };

describe('gRPC streams over all tiers, without a store', () => {
  let broker: TestBroker;
  let system: System;
  let clients: NimbusStranger[];
  before(async () => {
    broker = await freshBroker();
    const env = { PUBLIC_EVENT_TYPES: 'nimbus.sq' };
    system = await startSystem({ amqpUrl: broker.url, counts: COUNTS, env });
    clients = system.publicWebs.map((publicWeb) => createNimbusStranger(grpcAddressOf(publicWeb)));
  });
  after(async () => {
    for (const { close } of clients) close();
    await system.stop();
    await broker.close();
  });

  it('give a client that sends 1 to 10 the squares', async () => {
    assert.deepEqual(
      await squaresOf(clients[0] as NimbusStranger, 'one', upTo(10)),
      [1, 4, 9, 16, 25, 36, 49, 64, 81, 100],
    );
  });

  it('give each of many clients its own results, in order, on every instance', async () => {
    const all = upTo(20).map(async (client) => {
      const numbers = upTo(100).map((number) => client * 1_000 + number);
      const results = await squaresOf(clients[client % 2] as NimbusStranger, `client-${client}`, numbers);
      assert.deepEqual(
        results,
        numbers.map((number) => number * number),
      );
    });
    await Promise.all(all);
  });
});

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** What a client gets that sends numbers and then ends its half. */
async function squaresOf(client: NimbusStranger, clientId: string, numbers: number[]): Promise<number[]> {
  const stream = client.open({ client_id: clientId });
  for (const number of numbers) stream.write({ event_name: 'SQ', number });
  stream.end();
  const responses = await Array.fromAsync(stream);
  assert.ok(responses.every(({ event_name }) => event_name === 'SQ'));
  return responses.map(({ result }) => result);
}
