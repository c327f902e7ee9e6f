import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { EVENTS_EXCHANGE, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { createManagementApi, type ManagementApi } from '@waybill/test-harness/management-api.ts';
import { type OtlpReceiver, startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { notifyByGrpc } from '@waybill/tools/notify-client.ts';
import { type ChannelModel, connect, type GetMessage } from 'amqplib';
import { askForDataset, connectClient, newClient } from './dataset-consumer.ts';
import { brokerOf, grpcAddressOf, type System, startSystem } from './system.ts';

const CANARY = `canary-${randomUUID()}`;
/** Users at the clients' broker, whose queues are in its default virtual host: one that may do everything there, one that may read. */
const CLIENT = `client-${randomUUID()}`;
const READER = `reader-${randomUUID()}`;
const USERS = {
  [CLIENT]: { configure: '.*', write: '.*', read: '.*' },
  [READER]: { configure: '^$', write: '^$', read: '.*' },
};
/** Gets a copy of every event. */
const TAP = 'tap';

/** All of a message that a broker holds. */
function textOf({ content, properties }: GetMessage): unknown[] {
  return [content.toString(), properties];
}

describe('a stream that cannot be', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let api: ManagementApi;
  let receiver: OtlpReceiver;
  let system: System;
  /** Of a client, and of whoever looks at what the services hold. */
  let model: ChannelModel;
  let inside: ChannelModel;
  let closedPort: number;
  before(async () => {
    [broker, receiver, closedPort] = await Promise.all([freshBroker(), startOtlpReceiver(), freePort()]);
    api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    for (const [user, permissions] of Object.entries(USERS)) {
      await api.createUser(user, CANARY);
      await api.setPermissions('/', user, permissions);
    }
    const env = {
      ...receiver.env,
      LOG_LEVEL: 'trace',
      CLIENT_BROKERS: `${brokerOf(broker.url)},127.0.0.1:${closedPort}`,
      MAX_RETRIES: '1',
      CHUNK_ATTEMPTS: '2',
    };
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1, 'ping-listener': 0 };
    system = await startSystem({ amqpUrl: broker.url, counts, env });
    model = await connectClient(broker.url);
    inside = await connect(broker.url);
    const channel = await inside.createChannel();
    await channel.assertQueue(TAP, { durable: true });
    await channel.bindQueue(TAP, EVENTS_EXCHANGE, '#');
    await channel.close();
  });
  after(async () => {
    await Promise.all([model?.close(), inside?.close()]);
    await system?.stop();
    await receiver?.close();
    for (const user of Object.keys(USERS)) await api?.deleteUser(user);
    await broker?.close();
  });
  const baseUrl = () => system.publicWebs[0]?.baseUrl as string;
  const client = (changes: object = {}) => ({
    ...newClient(broker.url),
    amqp_user: CLIENT,
    amqp_pass: CANARY,
    ...changes,
  });

  const deadLetters: GetMessage[] = [];
  /** The dead letter of a stream, by its id. */
  async function deadLetterOf(streamId: string, onModel = inside) {
    return await eventually(async () => {
      const channel = await onModel.createChannel();
      for (;;) {
        const message = await channel.get('waybill.dead-letters', { noAck: true });
        if (!message) break;
        deadLetters.push(message);
      }
      await channel.close();
      const found = deadLetters.find(({ content }) => content.toString().includes(streamId));
      assert.ok(found, `no dead letter of ${streamId}`);
      const { 'waybill-error-code': code, 'waybill-error-message': message } = found.properties.headers ?? {};
      return { code, message };
    });
  }

  async function assertNoQueue(queue: string): Promise<void> {
    const channel = await model.createChannel();
    channel.on('error', () => {});
    await assert.rejects(channel.checkQueue(queue), /404/);
  }

  async function sent(streamId: string): Promise<void> {
    const [listener] = system.dataDispatchListeners;
    await listener?.waitForLog(({ msg, stream_id }) => msg === 'dataset sent' && stream_id === streamId);
  }

  it('succeeds with the credentials of a client', async () => {
    const accepted = client();
    await sent(await askForDataset(baseUrl(), accepted));
  });

  it('uses a queue that has other arguments than it would declare', async () => {
    const accepted = client();
    const channel = await model.createChannel();
    const limits = { 'x-max-length': 10_000, 'x-queue-type': 'quorum' };
    await channel.assertQueue(accepted.queue_name, { durable: true, arguments: limits });
    await sent(await askForDataset(baseUrl(), accepted));
    const { messageCount } = await channel.deleteQueue(accepted.queue_name);
    assert.equal(messageCount, 334);
    await channel.close();
  });

  it('ends in a dead letter when the broker refuses the password, and leaves no queue behind', async () => {
    const refused = client({ amqp_user: 'nobody' });
    const streamId = await askForDataset(baseUrl(), refused);
    assert.deepEqual(await deadLetterOf(streamId), {
      code: 'client-credentials-refused',
      message: "the client's broker refuses its credentials",
    });
    await assertNoQueue(refused.queue_name);
  });

  it('ends in a dead letter when the broker of the client cannot be reached', async () => {
    const streamId = await askForDataset(baseUrl(), client({ amqp_port: closedPort }));
    assert.deepEqual(await deadLetterOf(streamId), {
      code: 'client-queue-unavailable',
      message: 'the broker of the client cannot be reached: ECONNREFUSED',
    });
  });

  it("ends in a dead letter when the queue is another connection's alone", async () => {
    const locked = client();
    const channel = await model.createChannel();
    await channel.assertQueue(locked.queue_name, { exclusive: true });
    const { code } = await deadLetterOf(await askForDataset(baseUrl(), locked));
    assert.equal(code, 'client-queue-refused');
    await channel.close();
  });

  it('ends in a dead letter when the user of the client may not use the queue', async () => {
    const { code } = await deadLetterOf(await askForDataset(baseUrl(), client({ amqp_user: READER })));
    assert.equal(code, 'client-queue-refused');
  });

  it('ends in a dead letter when the queue is deleted under way', async () => {
    const deleted = client();
    const channel = await model.createChannel();
    await channel.assertQueue(deleted.queue_name, { durable: true });
    const [listener] = system.dataDispatchListeners;
    const streamId = await askForDataset(baseUrl(), deleted);
    await listener?.waitForLog(({ event_id, outcome }) => event_id === streamId && outcome === 'handled');
    await channel.deleteQueue(deleted.queue_name);
    assert.deepEqual(await deadLetterOf(streamId), {
      code: 'client-queue-deleted',
      message: "the client's queue was deleted",
    });
    await channel.close();
  });

  it('is one trace, in which the batches are counted and not spans', async () => {
    const accepted = client();
    const streamId = await askForDataset(baseUrl(), accepted);
    await sent(streamId);
    const last = () =>
      receiver.spans().find(({ attributes }) => attributes['cloudevents.event_id'] === `${streamId}/320`);
    const span = await receiver.waitFor(last);
    const names = () =>
      receiver
        .spans()
        .filter(({ traceId }) => traceId === span.traceId)
        .toSorted((a, b) => Number(a.start - b.start))
        .map(({ service, kind, name }) => `${service} ${kind} ${name}`);
    const expected = [
      'public-web server POST /clients',
      'public-web producer send NewClientRequest',
      'dispatcher producer route NewClientRequest',
      'data-dispatch-listener consumer process NewClientRequest',
      ...Array.from(
        { length: 10 },
        () => 'data-dispatch-listener consumer process waybill.DatasetContinuation',
      ),
    ];
    await receiver.waitFor(() => names().length >= expected.length);
    assert.deepEqual(names(), expected);
    const channel = await model.createChannel();
    const message = await channel.get(accepted.queue_name, { noAck: true });
    assert.ok(message);
    assert.equal(message.properties.headers?.traceparent.split('-')[1], span.traceId);
    await channel.deleteQueue(accepted.queue_name);
    await channel.close();
  });

  it('ends in a dead letter when there is no such dataset, or no dataset service', async (t) => {
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1, 'ping-listener': 0 };
    const { url: amqpUrl, close } = await freshBroker();
    const env = { DATASET_NAME: 'nope', MAX_RETRIES: '1', CHUNK_ATTEMPTS: '2' };
    const unavailable = await startSystem({ amqpUrl, counts, env });
    t.after(async () => {
      await unavailable.stop();
      await close();
    });
    const [web] = unavailable.publicWebs;
    const elsewhere = await connect(amqpUrl);
    const none = newClient(broker.url);
    const unknown = await deadLetterOf(await askForDataset(web?.baseUrl as string, none), elsewhere);
    assert.deepEqual(unknown, {
      code: 'dataset-not-found',
      message: 'there is no such dataset: Dataset not found',
    });
    await assertNoQueue(none.queue_name);
    await unavailable.kill(unavailable.datasetGenerators[0] as Service);
    const gone = newClient(broker.url);
    const silent = await deadLetterOf(await askForDataset(web?.baseUrl as string, gone), elsewhere);
    assert.equal(silent.code, 'dataset-unavailable');
    assert.match(silent.message, /^the dataset service does not answer/);
    await assertNoQueue(gone.queue_name);
    await elsewhere.close();
  });

  async function takeAll(of: ChannelModel, queue: string): Promise<GetMessage[]> {
    const channel = await of.createChannel();
    const messages: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) break;
      messages.push(message);
    }
    await channel.close();
    return messages;
  }

  /** Of a client whose queue is full, so that its stream waits: what is in its queue, and what waits. */
  async function takeWaiting(): Promise<{ batches: GetMessage[]; waiting: GetMessage[] }> {
    const patient = client();
    const channel = await model.createChannel();
    const full = { 'x-max-length': 1, 'x-overflow': 'reject-publish' };
    await channel.assertQueue(patient.queue_name, { durable: true, arguments: full });
    await channel.close();
    await notifyByGrpc(grpcAddressOf(system.publicWebs[0] as Service), patient);
    const waiting = await eventually(async () => {
      const found = await takeAll(inside, serviceQueues('data-dispatch').retry(1_000));
      assert.ok(found.length > 0, 'nothing waits');
      return found;
    });
    return { batches: await takeAll(model, patient.queue_name), waiting };
  }

  it('never lets a password out of the sealed credentials', async () => {
    const refused = client({ amqp_user: 'nobody' });
    await notifyByGrpc(grpcAddressOf(system.publicWebs[0] as Service), refused);
    await deadLetterOf(refused.client_id);
    const { batches, waiting } = await takeWaiting();
    await system.stop();
    const [web] = system.publicWebs;
    const seen = {
      logs: [system.publicWebs, system.dispatchers, system.dataDispatchListeners, system.datasetGenerators]
        .flat()
        .flatMap(({ logs }) => logs),
      spans: receiver.spans().map(({ start: _, end: __, ...span }) => span),
      exported: receiver.logs(),
      deadLetters: deadLetters.map(textOf),
      events: (await takeAll(inside, TAP)).map(textOf),
      waiting: waiting.map(textOf),
      batches: batches.map(textOf),
    };
    assert.ok(web && seen.logs.length > 50 && seen.spans.length > 50 && seen.deadLetters.length >= 6);
    assert.ok(seen.events.length > 20 && seen.batches.length > 0);
    for (const [where, what] of Object.entries(seen)) {
      const text = JSON.stringify(what);
      for (const form of [
        CANARY,
        Buffer.from(CANARY).toString('base64').replace(/=+$/, ''),
        encodeURIComponent(CANARY),
      ])
        assert.ok(!text.includes(form), `${where} hold the password`);
    }
  });
});
