import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { messageTo, soon } from './contract-bench.fixture.ts';
import type { Publisher } from './ports.ts';
import { publishUntilConfirmed } from './publish-until-confirmed.ts';

const SERVICE = 'ping';
const WORK = { work: SERVICE };
const MESSAGE = messageTo(SERVICE);

describe('publishUntilConfirmed', () => {
  const neverAborts = new AbortController().signal;

  /** A broker with the queues of a service, and a publisher that is connected. */
  async function start(options: { confirmTimeoutMs?: number } = {}) {
    const broker = createMemoryBroker({ topology: { service: SERVICE, types: ['T'] }, ...options });
    await soon(() => assert.ok(broker.publisher.isAvailable()));
    return broker;
  }

  it('resolves once the broker has the message, however often the connection goes', async () => {
    const { publisher, faults, inspect } = await start();

    const published = publishUntilConfirmed(publisher, MESSAGE, neverAborts);
    for (let i = 0; i < 5; i += 1) {
      faults.reset();
      await nextTurn();
    }
    await published;

    assert.ok((await inspect.depth(WORK)).ready >= 1);
  });

  it('waits for a connection', async () => {
    const { publisher, inspect } = createMemoryBroker({ topology: { service: SERVICE, types: ['T'] } });
    assert.equal(publisher.isAvailable(), false);

    await publishUntilConfirmed(publisher, MESSAGE, neverAborts);

    assert.equal((await inspect.depth(WORK)).ready, 1);
  });

  it('declares a queue of ours again that is missing', async () => {
    const { publisher, inspect } = await start();
    await inspect.deleteQueue(WORK);

    await publishUntilConfirmed(publisher, MESSAGE, neverAborts);

    assert.equal((await inspect.depth(WORK)).ready, 1);
  });

  it('gives up what no queue takes although all of ours are there', async () => {
    const { publisher } = await start();

    await assert.rejects(publishUntilConfirmed(publisher, messageTo('nobody'), neverAborts), {
      code: 'unroutable',
      message: 'no queue takes waybill.nobody',
    });
  });

  it('waits for the queue of another service that declares that it takes the type', async () => {
    const { publisher } = await start();
    let tries = 0;
    const healing: Publisher = {
      ...publisher,
      async publish() {
        tries += 1;
        return tries < 4 ? 'unroutable' : 'confirmed';
      },
    };

    await publishUntilConfirmed(healing, { ...MESSAGE, to: { type: 'T' } }, neverAborts);
    assert.equal(tries, 4);

    tries = 0;
    await assert.rejects(
      publishUntilConfirmed(healing, { ...MESSAGE, to: { type: 'Nobodys' } }, neverAborts),
      {
        code: 'unroutable',
      },
    );
    assert.equal(tries, 2);
  });

  it('gives up when its signal aborts', async () => {
    const { publisher, faults } = await start({ confirmTimeoutMs: 100 });
    faults.refuse();
    const controller = new AbortController();

    const published = publishUntilConfirmed(publisher, MESSAGE, controller.signal);
    await nextTurn();
    controller.abort();

    await assert.rejects(published, { code: 'broker-unavailable' });
  });
});
