import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { EVENTS_EXCHANGE, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, type ConsumeMessage, connect } from 'amqplib';
import { type CallRelay, startCallRelay } from './call-relay.ts';
import { ask } from './client.ts';
import { takeDeadLetters } from './evidence.ts';
import { createTiers, type Tiers } from './tiers.ts';

const TYPE = 'behaviours.Work';

describe('what comes twice', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let relay: CallRelay;
  let web: Service;
  let listener: Service;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    relay = await startCallRelay();
    await tiers.startDispatcher();
    listener = await tiers.startBehaviours();
    web = await tiers.startPublicWeb({ INTERNAL_URL: relay.url });
    relay.forwardTo(`http://127.0.0.1:${web.internalPort}`);
    model = await connect(broker.url);
    channel = await model.createChannel();
  });
  after(async () => {
    await model?.close();
    await tiers?.stopAll();
    await relay?.close();
    await broker?.close();
  });

  async function assertAnsweredOnce(id: string): Promise<void> {
    const isAnswer = ({ msg, event_id }: LogLine) => msg === 'event answered' && event_id === id;
    await web.waitForLog(isAnswer);
    assert.equal(web.logs.filter(isAnswer).length, 1);
  }
  const isReplyTo = (correlationId: unknown) => (event: CloudEvent) => event.correlationid === correlationId;

  /** Asks, and resolves with the answer under way and the message that the dispatcher published for it. */
  async function askAndTap(id: string, ms: number) {
    const { queue } = await channel.assertQueue('', { exclusive: true, durable: false });
    await channel.bindQueue(queue, EVENTS_EXCHANGE, TYPE);
    const tapped = new Promise<ConsumeMessage | null>((resolve) => {
      void channel.consume(queue, resolve, { noAck: true });
    });
    const answer = ask(web, { type: TYPE, id, data: { ms } });
    const message = (await tapped) as ConsumeMessage;
    await channel.deleteQueue(queue);
    return { answer, message, correlationId: JSON.parse(message.content.toString()).correlationid };
  }

  it('an event that is in its queue twice is answered once, and the second reply is dropped', async () => {
    const id = randomUUID();
    const { answer, message, correlationId } = await askAndTap(id, 300);
    channel.sendToQueue(serviceQueues('behaviours').work, message.content, message.properties);

    assert.equal((await answer).status, 200);
    await eventually(() => {
      const finished = listener.logs.filter(({ msg, event_id }) => msg === 'finished' && event_id === id);
      assert.equal(finished.length, 2, 'both ran');
    });
    await eventually(() => {
      const replies = relay.calls.flatMap(({ events }) => events).filter(isReplyTo(correlationId));
      assert.equal(replies.length, 2);
    });
    await broker.emptied();
    await assertAnsweredOnce(id);
    assert.deepEqual(await takeDeadLetters(broker.url), []);
  });

  it('a callback that is replayed is a no-op 2xx, before its signature is a minute old', async () => {
    const id = randomUUID();
    const { answer, correlationId } = await askAndTap(id, 0);
    assert.equal((await answer).status, 200);
    const call = await relay.call(({ events }) => events.some(isReplyTo(correlationId)));

    for (let replayed = 0; replayed < 3; replayed += 1) {
      const response = await relay.replay(call);
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), {
        unknown: call.events.map(({ correlationid }) => correlationid),
      });
    }
    await assertAnsweredOnce(id);
    assert.equal((await ask(web, { type: TYPE, data: { ms: 0 } })).status, 200);
  });

  it('a callback with another body under the same signature is refused', async () => {
    const id = randomUUID();
    const { answer, correlationId } = await askAndTap(id, 0);
    await answer;
    const call = await relay.call(({ events }) => events.some(isReplyTo(correlationId)));
    const forged = Buffer.from(call.body.toString().replace('"underWay":1', '"underWay":2'));
    assert.notDeepEqual(forged, call.body);
    assert.equal((await relay.replay({ ...call, body: forged })).status, 401);
  });
});
