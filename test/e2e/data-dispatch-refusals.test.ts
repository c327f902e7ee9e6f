import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { type ChannelModel, connect, type GetMessage } from 'amqplib';
import { eventually } from '../harness/eventually.ts';
import { freePort } from '../harness/free-port.ts';
import { type OtlpReceiver, startOtlpReceiver } from '../harness/otlp-receiver.ts';
import { type Rabbitmq, startRabbitmq } from '../harness/rabbitmq.ts';
import { rabbitmqMissing } from '../harness/test-broker.ts';
import { askForDataset, connectClient, newClient } from './dataset-consumer.ts';
import { type System, startSystem } from './system.ts';

const CANARY = `canary-${randomUUID()}`;

describe('a stream that cannot be', { skip: rabbitmqMissing }, () => {
  let rabbitmq: Rabbitmq;
  let receiver: OtlpReceiver;
  let system: System;
  let unavailable: System;
  let model: ChannelModel;
  let closedPort: number;
  before(async () => {
    [rabbitmq, receiver, closedPort] = await Promise.all([startRabbitmq(), startOtlpReceiver(), freePort()]);
    await rabbitmq.ctl('add_user', 'canary', CANARY);
    await rabbitmq.ctl('set_permissions', 'canary', '.*', '.*', '.*');
    const { host } = new URL(rabbitmq.url);
    const env = {
      ...receiver.env,
      LOG_LEVEL: 'trace',
      CLIENT_BROKERS: `${host},127.0.0.1:${closedPort}`,
      MAX_RETRIES: '1',
      CHUNK_ATTEMPTS: '2',
    };
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1, 'ping-listener': 0 };
    system = await startSystem({ amqpUrl: rabbitmq.url, counts, env });
    model = await connectClient(rabbitmq.url);
  });
  after(async () => {
    await model?.close();
    await system?.stop();
    await unavailable?.stop();
    await receiver?.close();
    await rabbitmq?.stop();
  });
  const baseUrl = () => system.publicWebs[0]?.baseUrl as string;
  const client = (changes: object = {}) => ({
    ...newClient(rabbitmq.url),
    amqp_user: 'canary',
    amqp_pass: CANARY,
    ...changes,
  });

  const deadLetters: GetMessage[] = [];
  /** The dead letter of a stream, by its id. */
  async function deadLetterOf(streamId: string, onModel = model) {
    return await eventually(
      async () => {
        const channel = await onModel.createChannel();
        for (;;) {
          const message = await channel.get('waybill.dead-letters', { noAck: true });
          if (!message) break;
          deadLetters.push(message);
        }
        await channel.close();
        const found = deadLetters.find(({ content }) => content.toString().includes(streamId));
        assert.ok(found, `no dead letter of ${streamId}`);
        const { 'waybill-error-code': code, 'waybill-error-message': message } =
          found.properties.headers ?? {};
        return { code, message };
      },
      { timeoutMs: 20_000 },
    );
  }

  async function sent(streamId: string): Promise<void> {
    const [listener] = system.dataDispatchListeners;
    await listener?.waitForLog(
      ({ msg, stream_id }) => msg === 'dataset sent' && stream_id === streamId,
      20_000,
    );
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
    const channel = await model.createChannel();
    channel.on('error', () => {});
    await assert.rejects(channel.checkQueue(refused.queue_name), /404/);
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
    await rabbitmq.ctl('add_user', 'reader', CANARY);
    await rabbitmq.ctl('set_permissions', 'reader', '^$', '^$', '.*');
    const { code } = await deadLetterOf(await askForDataset(baseUrl(), client({ amqp_user: 'reader' })));
    assert.equal(code, 'client-queue-refused');
  });

  it('ends in a dead letter when the queue is deleted under way', async () => {
    const deleted = client();
    const channel = await model.createChannel();
    await channel.assertQueue(deleted.queue_name, { durable: true });
    const [listener] = system.dataDispatchListeners;
    const streamId = await askForDataset(baseUrl(), deleted);
    await listener?.waitForLog(
      ({ event_id, outcome }) => event_id === streamId && outcome === 'handled',
      20_000,
    );
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

  it('ends in a dead letter when there is no such dataset, or no dataset service', async () => {
    const counts = { 'data-dispatch-listener': 1, 'ping-listener': 0 };
    const vhost = `unavailable-${randomUUID()}`;
    await rabbitmq.ctl('add_vhost', vhost);
    await rabbitmq.ctl('set_permissions', '-p', vhost, 'guest', '.*', '.*', '.*');
    const amqpUrl = `${rabbitmq.url}/${vhost}`;
    const env = { MAX_RETRIES: '1', CHUNK_ATTEMPTS: '2' };
    unavailable = await startSystem({ amqpUrl, counts, env });
    const [web] = unavailable.publicWebs;
    const elsewhere = await connect(amqpUrl);
    const gone = await askForDataset(web?.baseUrl as string, newClient(rabbitmq.url));
    const { code, message } = await deadLetterOf(gone, elsewhere);
    assert.equal(code, 'dataset-unavailable');
    assert.match(message, /^the dataset service does not answer/);
    await elsewhere.close();
  });

  it('never lets a password out of the sealed credentials', async () => {
    await system.stop();
    const [web] = system.publicWebs;
    const seen = {
      logs: [system.publicWebs, system.dispatchers, system.dataDispatchListeners, system.datasetGenerators]
        .flat()
        .flatMap(({ logs }) => logs),
      spans: receiver.spans().map(({ start: _, end: __, ...span }) => span),
      exported: receiver.logs(),
      deadLetters: deadLetters.map(({ content, properties }) => [content.toString(), properties.headers]),
    };
    assert.ok(web && seen.logs.length > 50 && seen.spans.length > 50 && seen.deadLetters.length >= 5);
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
