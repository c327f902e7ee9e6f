import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Fault } from '@waybill/test-harness/tcp-proxy.ts';
import { EVENTS_EXCHANGE } from './amqp-topology.ts';
import type { BrokerContract } from './contract.ts';
import {
  available,
  createBench,
  depthOf,
  messageTo,
  onRawChannel,
  publishAll,
  quorumQueue,
} from './contract-bench.ts';
import type { OutgoingMessage, PublishOutcome } from './ports.ts';

export function describePublishing(contract: BrokerContract): void {
  describe('publishing', () => {
    it('confirms a message that is in its queue, persistent and as it was', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const body = Buffer.from([0, 255, 10, 13]);
      const message = {
        ...messageTo(bench.service, body),
        contentType: 'a/b',
        headers: { text: 'ü', count: 3 },
      };

      assert.equal(await publisher.publish(message), 'confirmed');

      const found = await onRawChannel(bench.url, (channel) => channel.get(bench.queue, { noAck: true }));
      assert.ok(found);
      assert.deepEqual(found.content, body);
      const { contentType, deliveryMode, headers } = found.properties;
      assert.deepEqual({ contentType, deliveryMode }, { contentType: 'a/b', deliveryMode: 2 });
      assert.deepEqual({ text: headers?.text, count: headers?.count }, message.headers);
    });

    it('tells of each message by itself whether a queue took it', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const keys = Array.from({ length: 50 }, (_, i) => (i % 2 ? bench.service : `${bench.service}-nobody`));

      const outcomes = await Promise.all(keys.map((key) => publisher.publish(messageTo(key))));

      assert.deepEqual(
        outcomes,
        keys.map((key) => (key === bench.service ? 'confirmed' : 'unroutable')),
      );
      assert.equal((await depthOf(bench.url, bench.queue)).ready, 25);
    });

    it('does not accept a message at once when it is not connected', async (t) => {
      const bench = createBench(contract, t);
      const url = new URL(bench.url);
      url.port = String(await freePort());
      const publisher = await bench.unconnectedPublisher({ url: url.href });

      const outcome = await Promise.race([publisher.publish(messageTo(bench.service)), nextTurn('late')]);

      assert.equal(outcome, 'not-accepted');
      assert.equal(publisher.isAvailable(), false);
    });

    it('does not accept a message that AMQP cannot carry, and goes on', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();

      const outcomes = [bench.service, 'k'.repeat(256), bench.service].map((key) =>
        publisher.publish(messageTo(key)),
      );

      assert.deepEqual(await Promise.all(outcomes), ['confirmed', 'not-accepted', 'confirmed']);
    });

    it('does not know the outcome when no confirm comes in time', async (t) => {
      const bench = createBench(contract, t);
      const proxy = await bench.proxy();
      const publisher = await bench.publisher({ url: proxy.url, confirmTimeoutMs: 100 });

      proxy.setFault({ drop: 'to-client' });

      assert.equal(await publisher.publish(messageTo(bench.service)), 'unknown');
    });

    it('does not know the outcome of what a full queue refuses, and what it confirmed is there', async (t) => {
      const bench = createBench(contract, t);
      const full = quorumQueue(bench.queue, { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
      // Far away, so that it is the refusal that is told.
      const publisher = await bench.publisher({
        topology: { ...bench.topology, queues: [full] },
        confirmTimeoutMs: 60_000,
      });

      // The limit of a quorum queue is soft.
      let confirmed = 0;
      let outcome = await publisher.publish(messageTo(bench.service));
      for (; outcome === 'confirmed' && confirmed < 100; confirmed += 1)
        outcome = await publisher.publish(messageTo(bench.service));

      assert.equal(outcome, 'unknown');
      assert.equal((await depthOf(bench.url, bench.queue)).ready, confirmed);
    });

    it('writes what lost its confirm with the connection again, under the same message id', async (t) => {
      const bench = createBench(contract, t);
      const proxy = await bench.proxy();
      const fault: Fault = {};
      proxy.setNextFault(fault);
      const publisher = await bench.publisher({ url: proxy.url });
      fault.drop = 'to-client';
      const outcomes = Promise.all(
        ['1', '2'].map((body) => publisher.publish(messageTo(bench.service, body))),
      );
      // Both have arrived.
      await onRawChannel(bench.url, async (channel) => {
        while ((await channel.checkQueue(bench.queue)).messageCount < 2) await nextTurn();
      });

      proxy.reset();

      assert.deepEqual(await outcomes, ['confirmed', 'confirmed']);
      const ids = await onRawChannel(bench.url, async (channel) => {
        const found = [];
        for (;;) {
          const message = await channel.get(bench.queue, { noAck: true });
          if (!message) return found;
          found.push(`${message.content}:${message.properties.messageId}`);
        }
      });
      assert.equal(ids.length, 4);
      assert.equal(new Set(ids).size, 2);
      assert.match(String(ids[0]), /^\d:.{8,}/);
    });

    it('does not know the outcome of what no queue takes when it is written again', async (t) => {
      const bench = createBench(contract, t);
      await bench.publisher();
      const proxy = await bench.proxy();
      const fault: Fault = {};
      proxy.setNextFault(fault);
      // Which does not make the queue again.
      const topology = { exchanges: [], queues: [], bindings: [] };
      const publisher = await bench.publisher({ url: proxy.url, topology });
      fault.drop = 'to-client';
      const outcome = publisher.publish(messageTo(bench.service));
      await onRawChannel(bench.url, async (channel) => {
        while ((await channel.checkQueue(bench.queue)).messageCount < 1) await nextTurn();
        await channel.deleteQueue(bench.queue);
      });

      proxy.reset();

      assert.equal(await outcome, 'unknown');
      await available(publisher);
      assert.equal(await publisher.publish(messageTo(bench.service)), 'unroutable');
    });

    it('lets no message suffer from a neighbour that makes the broker close the channel', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const bodies = Array.from({ length: 20 }, (_, i) => String(i));
      const messages = bodies.map((body) => messageTo(bench.service, body));
      const poison = poisonous();
      messages.splice(10, 0, poison);
      messages.splice(5, 0, poison);

      const outcomes = await Promise.all(messages.map((message) => publisher.publish(message)));

      assert.deepEqual(
        outcomes,
        messages.map((message) => (message === poison ? 'unknown' : 'confirmed')),
      );
      await available(publisher);
      await publishAll(publisher, bench.service, ['after']);
    });

    it('finds out which message makes the broker close the channel while others keep coming', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher({ confirmTimeoutMs: 60_000 });
      const others: Promise<PublishOutcome>[] = [];
      let poisonOutcome: PublishOutcome | undefined;
      publisher.publish(poisonous()).then((outcome) => {
        poisonOutcome = outcome;
      });

      for (const deadlineMs = performance.now() + 30_000; !poisonOutcome; await nextTurn()) {
        assert.ok(performance.now() < deadlineMs, 'not found out within 30 s');
        others.push(publisher.publish(messageTo(bench.service)));
      }

      assert.equal(poisonOutcome, 'unknown');
      // Not connected in between.
      assert.deepEqual(new Set(await Promise.all(others)), new Set(['confirmed', 'not-accepted']));
    });

    it('publishes again what found an exchange missing that the topology has', async (t) => {
      const bench = createBench(contract, t);
      const exchange = EVENTS_EXCHANGE;
      const publisher = await bench.publisher({
        topology: {
          exchanges: [{ name: exchange, type: 'topic' }],
          queues: bench.topology.queues,
          bindings: [{ queue: bench.queue, exchange, routingKey: 'key' }],
        },
      });
      await onRawChannel(bench.url, (channel) => channel.deleteExchange(exchange));

      const outcome = await publisher.publish({ ...messageTo(bench.service), to: { type: 'key' } });

      assert.equal(outcome, 'confirmed');
      assert.equal((await depthOf(bench.url, bench.queue)).ready, 1);
    });

    it('declares a queue again that was deleted', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      await onRawChannel(bench.url, (channel) => channel.deleteQueue(bench.queue));
      assert.equal(await publisher.publish(messageTo(bench.service)), 'unroutable');

      await publisher.declare();

      await publishAll(publisher, bench.service, ['1']);
    });

    it('waits for the confirms under way when it closes', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const outcomes = [1, 2, 3].map((n) => publisher.publish(messageTo(bench.service, String(n))));

      await publisher.close();

      assert.deepEqual(await Promise.all(outcomes), ['confirmed', 'confirmed', 'confirmed']);
      assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted');
    });

    it('closes although the peer has gone silent, and does not know what became of the rest', async (t) => {
      const bench = createBench(contract, t);
      const proxy = await bench.proxy();
      const publisher = await bench.publisher({ url: proxy.url, confirmTimeoutMs: 60_000 });
      proxy.setFault({ drop: 'both' });
      const outcome = publisher.publish(messageTo(bench.service));

      await publisher.close(10);

      assert.equal(await outcome, 'unknown');
    });
  });
}

/** To an exchange that nobody has declared yet. */
function poisonous(): OutgoingMessage {
  return { ...messageTo(''), to: { deadLetters: 'key' } };
}
