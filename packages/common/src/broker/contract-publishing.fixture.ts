import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BrokerContract } from './contract.fixture.ts';
import { createBench, isConnected, messageTo, publishAll, soon } from './contract-bench.fixture.ts';

export function describePublishing(contract: BrokerContract): void {
  describe('publishing', () => {
    it('confirms a message that is in its queue, persistent and as it was', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const body = Buffer.from([0, 255, 10, 13]);
      const message = {
        ...messageTo(bench.service, body),
        contentType: 'a/b',
        headers: { text: 'ü', count: 3 },
      };

      assert.equal(await publisher.publish(message), 'confirmed');

      const found = await bench.inspect.take(bench.work);
      assert.ok(found);
      assert.deepEqual(found.body, body);
      const { contentType, isPersistent, headers } = found;
      assert.deepEqual({ contentType, isPersistent }, { contentType: 'a/b', isPersistent: true });
      assert.deepEqual({ text: headers.text, count: headers.count }, message.headers);
    });

    it('tells of each message by itself whether a queue took it', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const services = Array.from({ length: 50 }, (_, i) =>
        i % 2 ? bench.service : `${bench.service}-nobody`,
      );

      const outcomes = await Promise.all(services.map((service) => publisher.publish(messageTo(service))));

      assert.deepEqual(
        outcomes,
        services.map((service) => (service === bench.service ? 'confirmed' : 'unroutable')),
      );
      assert.equal((await bench.inspect.depth(bench.work)).ready, 25);
    });

    it('does not accept a message at once when it is not connected', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, faults } = await bench.connecting();
      faults.refuse();
      await soon(() => assert.equal(publisher.isAvailable(), false));

      const outcome = await Promise.race([publisher.publish(messageTo(bench.service)), nextTurn('late')]);

      assert.equal(outcome, 'not-accepted');
      assert.equal(publisher.isConnected(), false);
    });

    it('does not accept a message that no broker can carry, and goes on', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();

      const outcomes = [bench.service, 'k'.repeat(256), bench.service].map((service) =>
        publisher.publish(messageTo(service)),
      );

      assert.deepEqual(await Promise.all(outcomes), ['confirmed', 'not-accepted', 'confirmed']);
    });

    it('does not know the outcome when no confirm comes in time', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, faults } = await bench.connect({ confirmTimeoutMs: 100 });

      faults.silence('answers');

      assert.equal(await publisher.publish(messageTo(bench.service)), 'unknown');
    });

    it('does not know the outcome of what a full queue refuses, and what it confirmed is there', async (t) => {
      const bench = createBench(contract, t);
      await bench.inspect.declareQueue(bench.work, { maxLength: 1 });
      // Far away, so that it is the refusal that is told.
      const { publisher } = await bench.connect({ topology: 'dispatcher', confirmTimeoutMs: 60_000 });

      // The limit of a quorum queue is soft.
      let confirmed = 0;
      let outcome = await publisher.publish(messageTo(bench.service));
      for (; outcome === 'confirmed' && confirmed < 100; confirmed += 1)
        outcome = await publisher.publish(messageTo(bench.service));

      assert.equal(outcome, 'unknown');
      assert.equal((await bench.inspect.depth(bench.work)).ready, confirmed);
    });

    it('writes what lost its confirm with the connection again, under the same message id', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, faults } = await bench.connect();
      faults.silence('answers');
      const outcomes = Promise.all(
        ['1', '2'].map((body) => publisher.publish(messageTo(bench.service, body))),
      );
      // Both have arrived.
      await soon(async () => assert.equal((await bench.inspect.depth(bench.work)).ready, 2));

      faults.restore();

      assert.deepEqual(await outcomes, ['confirmed', 'confirmed']);
      const ids = [];
      for (
        let found = await bench.inspect.take(bench.work);
        found;
        found = await bench.inspect.take(bench.work)
      )
        ids.push(`${found.body}:${found.messageId}`);
      assert.equal(ids.length, 4);
      assert.equal(new Set(ids).size, 2);
      assert.match(String(ids[0]), /^\d:.{8,}/);
    });

    it('does not know the outcome of what no queue takes when it is written again', async (t) => {
      const bench = createBench(contract, t);
      await bench.inspect.declareQueue(bench.work, { maxLength: 100 });
      // Which does not make the queue again.
      const connections = await bench.connect({ topology: 'dispatcher' });
      const { publisher, faults } = connections;
      faults.silence('answers');
      const outcome = publisher.publish(messageTo(bench.service));
      await soon(async () => assert.equal((await bench.inspect.depth(bench.work)).ready, 1));
      await bench.inspect.deleteQueue(bench.work);

      faults.restore();

      assert.equal(await outcome, 'unknown');
      await soon(() => assert.ok(isConnected(connections)));
      assert.equal(await publisher.publish(messageTo(bench.service)), 'unroutable');
    });

    it('declares a queue again that was deleted', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      await bench.inspect.deleteQueue(bench.work);

      // A caller asks again: a busy broker may take longer than one call may.
      await soon(() => publisher.declare());

      await publishAll(publisher, bench.service, ['1']);
    });

    it('cannot declare without a connection', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, faults } = await bench.connect();
      faults.refuse();
      await soon(() => assert.equal(publisher.isConnected(), false));

      await assert.rejects(publisher.declare(), { code: 'broker-unavailable' });
    });

    it('waits for the confirms under way when it closes', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const outcomes = [1, 2, 3].map((n) => publisher.publish(messageTo(bench.service, String(n))));

      await publisher.close();

      assert.deepEqual(await Promise.all(outcomes), ['confirmed', 'confirmed', 'confirmed']);
      assert.equal(await publisher.publish(messageTo(bench.service)), 'not-accepted');
    });

    it('closes although the peer has gone silent, and does not know what became of the rest', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, faults } = await bench.connect({ confirmTimeoutMs: 60_000 });
      faults.silence('all');
      const outcome = publisher.publish(messageTo(bench.service));

      await publisher.close(10);

      assert.equal(await outcome, 'unknown');
    });
  });
}
