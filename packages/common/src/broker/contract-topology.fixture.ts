import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { BrokerContract } from './contract.fixture.ts';
import { createBench, expectDepth, isConnected, messageTo, soon } from './contract-bench.fixture.ts';
import type { Destination, Source } from './ports.ts';
import { observersOf, RETRY_DELAYS_MS } from './topology.ts';

/** One after another: they share what all services do. */
export function describeTopology(contract: BrokerContract): void {
  describe('the topology', () => {
    it('routes the types that a service is declared for to its work queue, however often it is declared', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      await publisher.declare();
      const consumption = await bench.consume(subscriber);
      const publish = (type: string) => publisher.publish({ ...messageTo(''), to: { type } });

      assert.equal(await publish(`${bench.type}.other`), 'unroutable');
      assert.equal(await publish(bench.type), 'confirmed');

      const { routingKey, destination, ack } = await consumption.next();
      assert.equal(routingKey, bench.type);
      assert.equal(destination.name, `waybill.events:${bench.type}:waybill.${bench.service}`);
      assert.equal(publisher.describe({ type: bench.type }).name, `waybill.events:${bench.type}`);
      ack();
    });

    it('says which types a service takes, be its queue there or not, until it takes them no more', async (t) => {
      const bench = createBench(contract, t);
      const { service, type } = bench;
      const gone = await bench.connect();
      await Promise.all([gone.publisher.close(), gone.subscriber.close()]);
      const { publisher } = await bench.connect({ topology: 'dispatcher' });
      assert.equal(await publisher.isDeclared(`${type}.other`), false);
      assert.equal(await publisher.isDeclared(type), true);

      await bench.inspect.deleteQueue(bench.work);
      assert.equal(await publisher.publish({ ...messageTo(''), to: { type } }), 'unroutable');
      assert.equal(await publisher.isDeclared(type), true);

      await publisher.unbind({ service, type });
      assert.equal(await publisher.isDeclared(type), false);
      // It need not be there.
      await publisher.unbind({ service, type });
    });

    it('brings what answerers of a type tell each other to those who listen, and keeps it for nobody', async (t) => {
      const bench = createBench(contract, t);
      const { service, type } = bench;
      const { publisher, subscriber } = await bench.connect();
      const tell = (body: string) => publisher.publish({ ...messageTo('', body), to: { answerersOf: type } });

      assert.equal(await tell('to nobody'), 'confirmed');
      const from = { answerers: service };
      const heard = await bench.consume(subscriber, { from });
      assert.equal(await tell('to somebody'), 'confirmed');

      const { body, routingKey, ack } = await heard.next();
      assert.deepEqual([String(body), routingKey], ['to somebody', type]);
      ack();
      await expectDepth(bench, from, { ready: 0, consumers: 1 });
    });

    it('says how many consume the work queue of a service, and nothing of one that is not there', async (t) => {
      const bench = createBench(contract, t);
      const { service } = bench;
      const listener = await bench.connect();
      const { subscriber } = await bench.connect({ topology: 'dispatcher' });
      await soon(async () => assert.equal(await subscriber.consumersOf(`${service}-other`), undefined));
      // A quorum queue of RabbitMQ answers from what its members know, which may be a moment late.
      const expectConsumers = (count: number) =>
        soon(async () => assert.equal(await subscriber.consumersOf(service), count));
      const consumption = await bench.consume(listener.subscriber);
      await expectConsumers(1);
      await consumption.cancel();
      await expectConsumers(0);
    });

    it('brings replies to the process that asked, also by its next connection, and none to who has never asked', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber, faults } = await bench.connect();
      const replyTo = (requester: string, body: string) =>
        publisher.publish({ ...messageTo('', body), to: { requester } });
      const requester = `${bench.service}.requests.${randomUUID()}`;
      const from = { requester };
      const replies = await bench.consume(subscriber, { from });
      assert.equal(await replyTo(requester, 'first'), 'confirmed');
      const first = await replies.next();
      assert.deepEqual([String(first.body), first.from], ['first', from]);
      first.ack();

      faults.reset();
      await soon(async () => assert.equal(await replyTo(requester, 'second'), 'confirmed'));
      // The ack may not have got there.
      for (let body = 'first'; body === 'first'; ) {
        const reply = await replies.next();
        body = String(reply.body);
        reply.ack();
        assert.ok(['first', 'second'].includes(body), body);
      }
      await soon(() => assert.ok(replies.isActive()));

      assert.equal(await replyTo(`${bench.service}.requests.${randomUUID()}`, 'to nobody'), 'unroutable');
      await bench.inspect.deleteQueue(from);
    });

    it('brings copies to observers, and the event itself never, which is for nobody without a service that answers it', async (t) => {
      const bench = createBench(contract, t);
      const { service, type } = bench;
      const topology = { service, types: [], observedTypes: [type] };
      const { publisher, subscriber } = await bench.connect({ topology });
      const from = { work: observersOf(service) };
      const observed = await bench.consume(subscriber, { from });

      assert.equal(await publisher.publish({ ...messageTo('', 'event'), to: { type } }), 'unroutable');
      assert.equal(await publisher.isDeclared(type), false);
      assert.equal(
        await publisher.publish({ ...messageTo('', 'copy'), to: { observed: type } }),
        'confirmed',
      );

      const { body, from: came, destination, ack } = await observed.next();
      assert.equal(String(body), 'copy');
      assert.deepEqual(came, from);
      assert.equal(destination.name, `waybill.observed:${type}:waybill.${service}.observers`);
      ack();
      await publisher.unbind({ service: observersOf(service), type });
      assert.equal(await publisher.publish({ ...messageTo(''), to: { observed: type } }), 'unroutable');
    });

    it('brings messages that were set aside back to the work queue, once each and with their headers', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      const bodies = Array.from({ length: 20 }, (_, i) => String(i));

      for (const body of bodies)
        await publisher.publish({
          ...messageTo(bench.service, body),
          to: { service: bench.service, delayMs: RETRY_DELAYS_MS[0] },
          headers: { attempts: 2 },
        });

      const back = [];
      for (const _ of bodies) {
        const delivery = await consumption.next();
        assert.equal(delivery.headers.attempts, 2);
        back.push(String(delivery.body));
        delivery.ack();
      }
      assert.deepEqual(new Set(back), new Set(bodies));
    });

    const ways: [what: string, to: Destination, from: Source][] = [
      ['replies', { replies: 'now' }, { replies: true }],
      ['replies that were set aside', { replies: 'later' }, { replies: true }],
      ['dead letters, by the key that they had,', { deadLetters: 'Some.Type' }, { deadLetters: true }],
    ];
    for (const [what, to, from] of ways)
      it(`brings ${what} to the consumer`, async (t) => {
        const bench = createBench(contract, t);
        const { publisher, subscriber } = await bench.connect({ topology: 'dispatcher' });
        const consumption = await bench.consume(subscriber, { from });

        assert.equal(await publisher.publish({ ...messageTo('', bench.service), to }), 'confirmed');

        const { body, from: came, routingKey, ack } = await consumption.next();
        assert.equal(String(body), bench.service);
        assert.deepEqual(came, from);
        if ('deadLetters' in to) assert.equal(routingKey, 'Some.Type');
        ack();
      });

    it('gives up, as a dead letter, what is requeued again and again', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const dead = await bench.consume(subscriber, { from: { deadLetters: true } });
      const { cancel } = subscriber.subscribe({
        from: bench.work,
        prefetch: 1,
        onDelivery: ({ requeue }) => requeue(),
      });

      await publisher.publish({ ...messageTo('', 'poison'), to: { type: bench.type } });

      const { body, routingKey, ack } = await dead.next();
      assert.deepEqual([String(body), routingKey], ['poison', bench.type]);
      ack();
      await cancel();
    });

    it('is declared anew by a publisher that finds the exchange of events missing, which then publishes', async (t) => {
      const bench = createBench(contract, t);
      const connections = await bench.connect();
      await bench.inspect.deleteExchange();

      const outcome = await connections.publisher.publish({ ...messageTo(''), to: { type: bench.type } });

      assert.equal(outcome, 'confirmed');
      assert.equal((await bench.inspect.depth(bench.work)).ready, 1);
      await soon(() => assert.ok(isConnected(connections)));
    });
  });
}
