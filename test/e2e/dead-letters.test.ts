import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { startTcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type ChannelModel, type ConfirmChannel, connect, type GetMessage } from 'amqplib';
import { pino } from 'pino';
import { createAmqpPublisher } from '../../packages/common/src/broker/amqp-publisher.ts';
import {
  DEAD_LETTERS_QUEUE,
  listenerTopology,
  serviceQueues,
} from '../../packages/common/src/broker/amqp-topology.ts';
import { type DeadLetterReason, deadLetter } from '../../packages/common/src/broker/dead-letter.ts';
import type { Delivery, Publisher } from '../../packages/common/src/broker/ports.ts';
import type { CloudEvent } from '../../packages/common/src/event/event.ts';
import { encodeEvent, encodeMessage } from '../../packages/common/src/event/event-json.ts';

const SERVICE = 'sample';
const TYPE = 'Sample';
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const TRACEPARENT = `00-${TRACE}-b7ad6b7169203331-01`;
const queues = serviceQueues(SERVICE);
/** For a machine under load. */
const DEADLINE = { timeoutMs: 60_000 };

describe('dead-letters', () => {
  let broker: TestBroker;
  let model: ChannelModel;
  let channel: ConfirmChannel;
  let publisher: Publisher;
  before(async () => {
    broker = await freshBroker();
    model = await connect(broker.url);
    channel = await model.createConfirmChannel();
    const topology = listenerTopology(SERVICE, [TYPE]);
    publisher = await createAmqpPublisher({
      url: broker.url,
      name: 'test',
      topology,
      log: pino({ level: 'silent' }),
    });
    await eventually(() => assert.ok(publisher.isAvailable()));
  });
  after(async () => {
    await publisher.close(0);
    await model.close();
    await broker.close();
  });
  beforeEach(async () => {
    for (const queue of [DEAD_LETTERS_QUEUE, queues.work]) await channel.purgeQueue(queue);
  });

  type BuryOptions = {
    event?: Partial<CloudEvent>;
    reason?: DeadLetterReason;
    queue?: string;
    body?: string;
  };

  /** Dead-letters an event as a listener does, or `body` raw. */
  async function bury({ event, reason = 'handler-failed', queue = queues.work, body }: BuryOptions = {}) {
    const whole = makeEvent(event);
    const contentType = 'application/octet-stream';
    const delivery = { queue, routingKey: TYPE, contentType, body: Buffer.from(body ?? ''), headers: {} };
    await deadLetter({
      publisher,
      delivery: { ...delivery, signal: new AbortController().signal } as Delivery,
      event: body === undefined ? whole : undefined,
      reason,
      attempts: 3,
      error: { code: 'E_CODE', message: 'why it failed' },
    });
    return whole;
  }

  async function buryMany(count: number): Promise<string[]> {
    const events = await Promise.all(Array.from({ length: count }, () => bury()));
    return events.map(({ id }) => id).sort();
  }

  /** Has the broker dead-letter a whole message, as it does at a delivery limit. */
  async function buryByBroker(events: CloudEvent[]): Promise<void> {
    const { body, contentType } = encodeMessage(events.map(encodeEvent));
    channel.publish('', queues.work, body, { contentType, persistent: true });
    await channel.waitForConfirms();
    channel.nack((await channel.get(queues.work)) as GetMessage, false, false);
    await expectDepth(DEAD_LETTERS_QUEUE, 1);
  }

  /** A quorum queue knows a moment later what was given back. */
  async function expectDepth(queue: string, count: number): Promise<void> {
    await eventually(async () => assert.equal((await channel.checkQueue(queue)).messageCount, count));
  }

  /** Takes all that is in the queue. */
  async function drain(queue: string): Promise<GetMessage[]> {
    const messages: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) return messages;
      messages.push(message);
    }
  }

  async function idsIn(queue: string): Promise<string[]> {
    return (await drain(queue)).map(eventIn).map(({ id }) => id);
  }

  function start(t: TestContext, args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, ['bin/dead-letters.mjs', ...args], {
      env: { ...bareEnvironment(), AMQP_URL: broker.url, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
      ([[code], stdout, stderr]) => ({ code, stdout, stderr }),
    );
    return { child, ended };
  }

  const run = (t: TestContext, ...args: string[]) => start(t, args).ended;

  async function listed(t: TestContext, ...args: string[]) {
    const { code, stdout } = await run(t, 'list', '--json', ...args);
    assert.equal(code, 0);
    return JSON.parse(stdout) as Record<string, unknown>[];
  }

  it('lists id, type, reason, error, attempts, age, trace id and message', async (t) => {
    const { id } = await bury();
    const { code, stdout, stderr } = await run(t, 'list');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '1 of 1 dead letters\n' });
    const [titles, row] = stdout.split('\n');
    assert.match(titles ?? '', /^ID +TYPE +REASON +ERROR +ATTEMPTS +AGE +TRACE ID +MESSAGE$/);
    assert.match(
      row ?? '',
      new RegExp(`^${id}  Sample  handler-failed  E_CODE  3 {9}\\d+ (s|min)\\s+${TRACE}  why it failed$`),
    );
  });

  it('lists for programs, by type and reason, and no more than asked for', async (t) => {
    const { id } = await bury();
    await bury({ event: { type: 'Other' } });
    await bury({ reason: 'listener-crashed' });
    const [found, ...others] = await listed(t, '--type', TYPE, '--reason', 'handler-failed');
    assert.deepEqual(others, []);
    const { deadLetteredAt, ...facts } = found ?? {};
    assert.ok(Date.parse(String(deadLetteredAt)) > 0);
    assert.deepEqual(facts, {
      eventCount: 1,
      id,
      type: TYPE,
      reason: 'handler-failed',
      errorCode: 'E_CODE',
      errorMessage: 'why it failed',
      attempts: 3,
      queue: queues.work,
      routingKey: TYPE,
      traceId: TRACE,
    });
    assert.equal((await listed(t, '--limit', '2')).length, 2);
  });

  it('shows every dead letter with an id, its event and what is sealed in it as they are', async (t) => {
    const { id } = await bury({ event: { data: { amqp_credentials: 'eyJhbGciOi.sealed' } } });
    await bury({ event: { id }, reason: 'listener-crashed' });
    await bury();
    const { code, stdout } = await run(t, 'show', id);
    assert.equal(code, 0);
    assert.equal(stdout.match(new RegExp(`^id {11}${id}$`, 'gm'))?.length, 2);
    assert.match(stdout, /^error {8}E_CODE: why it failed$/m);
    assert.match(stdout, /^queue {8}waybill\.sample$/m);
    assert.match(stdout, /^ {4}"amqp_credentials": "eyJhbGciOi\.sealed"$/m);
    const whole = JSON.parse((await run(t, 'show', id, '--json')).stdout);
    assert.deepEqual(
      whole.map((one: { events: CloudEvent[] }) => one.events[0]?.id),
      [id, id],
    );
  });

  it('spells out control characters, so that no event plays with the terminal', async (t) => {
    await bury({ event: { id: 'a\u001b[2Jb\u202ec', data: 'x\u009by' } });
    assert.match((await run(t, 'list')).stdout, /^a\\u001b\[2Jb\\u202ec /m);
    const { stdout } = await run(t, 'show', '--all');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they must not be there
    assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    assert.match(stdout, /"data": "x\\u009by"/);
  });

  it('knows bytes that are no event by a digest, which stays the same, and replays them as they are', async (t) => {
    await bury({ body: 'no JSON', reason: 'unparsable' });
    const [first] = await listed(t);
    const [again] = await listed(t);
    assert.match(String(first?.id), /^[0-9a-f]{12}$/);
    assert.equal(again?.id, first?.id);
    assert.match((await run(t, 'show', String(first?.id))).stdout, /\n\nno JSON\n/);
    assert.equal((await run(t, 'replay', String(first?.id))).code, 0);
    assert.deepEqual(
      (await drain(queues.work)).map(({ content }) => String(content)),
      ['no JSON'],
    );
  });

  it('knows a batch that the broker dead-lettered by any of its events, and replays it whole', async (t) => {
    const events = [makeEvent(), makeEvent(), makeEvent()] as const;
    await buryByBroker([...events]);
    const [batch] = await listed(t);
    assert.deepEqual([batch?.reason, batch?.queue, batch?.eventCount], ['rejected', queues.work, 3]);
    assert.ok(Date.parse(String(batch?.deadLetteredAt)) > 0);
    assert.match((await run(t, 'list')).stdout, /^[0-9a-f]{12} {2}Sample ×3 {2}rejected /m);
    assert.equal((await run(t, 'replay', events[1].id)).code, 0);
    const [message] = await drain(queues.work);
    const replayed = JSON.parse(String(message?.content)) as CloudEvent[];
    assert.deepEqual(
      replayed.map(({ id, replayof }) => [id, replayof]),
      events.map(({ id }) => [id, TRACEPARENT]),
    );
    await expectDepth(DEAD_LETTERS_QUEUE, 0);
  });

  it('finds a virtual host whose name is full of percent signs', { skip: rabbitmqMissing }, async (t) => {
    const api = createManagementApi({ url: String(process.env.TEST_MANAGEMENT_URL) });
    const vhost = `test-${randomUUID()}-100% %2F %252F`;
    await api.createVhost(vhost);
    t.after(() => api.deleteVhost(vhost));
    const url = new URL(broker.url);
    url.pathname = encodeURIComponent(vhost);
    const { stderr } = await start(t, ['list'], { AMQP_URL: url.href }).ended;
    assert.match(stderr, /there is no queue waybill\.dead-letters/);
  });

  it('says in one line that a % of the URL begins no escape', async (t) => {
    const { code, stderr } = await start(t, ['list'], { AMQP_URL: 'amqp://guest:100%@127.0.0.1' }).ended;
    const words = 'AMQP_URL: has a % that begins no escape: write it as %25\n';
    assert.deepEqual({ code, stderr }, { code: 1, stderr: words });
  });

  it('leaves everything as it was when it has only looked', async (t) => {
    const ids = await buryMany(20);
    await run(t, 'list', '--limit', '5');
    await run(t, 'show', String(ids[3]));
    await run(t, 'show', 'unknown');
    const left = await drain(DEAD_LETTERS_QUEUE);
    assert.deepEqual(left.map((message) => eventIn(message).id).sort(), ids);
    for (const { properties } of left) assert.equal(properties.headers?.['waybill-error-code'], 'E_CODE');
  });

  it('never has the broker drop what was looked at often, and copies it with all that is known of it', async (t) => {
    const limited = await limitedBroker(t);
    const { id } = await limited.bury();
    for (let look = 0; look < 18; look++)
      limited.channel.reject((await limited.channel.get(DEAD_LETTERS_QUEUE)) as GetMessage, true);
    for (let look = 0; look < 4; look++) {
      const { stdout } = await start(t, ['list'], { AMQP_URL: limited.url }).ended;
      assert.match(
        stdout,
        new RegExp(`^${id}  Sample  handler-failed  E_CODE  3 .*${TRACE}  `, 'm'),
        `look ${look}`,
      );
    }
  });

  it('keeps what the broker said of a death when it copies what was looked at often', async (t) => {
    await buryByBroker([makeEvent()]);
    for (let look = 0; look < 12; look++)
      channel.reject((await channel.get(DEAD_LETTERS_QUEUE)) as GetMessage, true);
    const [before] = await listed(t);
    const [{ properties }] = (await drain(DEAD_LETTERS_QUEUE)) as [GetMessage];
    assert.ok((properties.headers?.['x-delivery-count'] ?? 0) <= 1, 'it was copied');
    assert.equal(properties.headers?.['waybill-reason'], 'rejected');
    assert.equal(properties.headers?.['waybill-queue'], queues.work);
    assert.equal(properties.headers?.['waybill-dead-lettered-at'], before?.deadLetteredAt);
  });

  it('replays an event with its id, as one for which nobody waits, to the service it failed in', async (t) => {
    const waiting = {
      correlationid: 'c',
      replyto: 'r',
      expirytime: '2020-01-01T00:00:00Z',
      tracestate: 'v=1',
    };
    const event = await bury({ event: { ...waiting, own: 'kept', data: { n: 1 } } });
    const { code, stdout } = await run(t, 'replay', event.id);
    assert.deepEqual(
      { code, stdout },
      { code: 0, stdout: `replayed ${event.id} ${TYPE} to ${queues.work}\n` },
    );
    const [message] = await drain(queues.work);
    const { correlationid, replyto, expirytime, traceparent, tracestate, ...rest } = event;
    assert.deepEqual(eventIn(message), { ...rest, replayof: TRACEPARENT });
    const history = Object.keys(message?.properties.headers ?? {}).filter((name) =>
      name.startsWith('waybill-'),
    );
    assert.deepEqual(history, [], 'attempts and crashes are counted anew');
    assert.equal(message?.properties.contentType, 'application/cloudevents+json');
    assert.equal(message?.properties.deliveryMode, 2);
    await expectDepth(DEAD_LETTERS_QUEUE, 0);
  });

  it('shows and replays the digits of numbers that no double holds as they came', async (t) => {
    const whole = JSON.stringify({ ...makeEvent(), data: { n: 0 } }).replace('"n":0', '"n":9007199254740993');
    channel.publish('', queues.work, Buffer.from(whole), { contentType: 'application/cloudevents+json' });
    await channel.waitForConfirms();
    channel.nack((await channel.get(queues.work)) as GetMessage, false, false);
    await expectDepth(DEAD_LETTERS_QUEUE, 1);
    const { id } = JSON.parse(whole) as CloudEvent;
    assert.match((await run(t, 'show', id)).stdout, /"n": 9007199254740993$/m);
    assert.equal((await run(t, 'replay', id)).code, 0);
    const [message] = await drain(queues.work);
    assert.match(String(message?.content), /"n":9007199254740993[,}]/);
  });

  it('replays to the work queue also what failed in isolation, or came from a retry queue', async (t) => {
    await bury({ queue: queues.isolated });
    await bury({ queue: queues.retry(200) });
    assert.equal((await run(t, 'replay', '--all')).code, 0);
    await expectDepth(queues.work, 2);
  });

  it('replays by its type what failed in a queue that is no more', async (t) => {
    const { id } = await bury({ queue: 'waybill.gone' });
    const { stdout } = await run(t, 'replay', id);
    assert.equal(stdout, `replayed ${id} ${TYPE} to waybill.events, by its type\n`);
    assert.deepEqual(await idsIn(queues.work), [id]);
  });

  it('keeps what no queue takes, what a full queue refuses, and replies, says why, and replays the others', async (t) => {
    const full = { 'x-queue-type': 'quorum', 'x-max-length': 1, 'x-overflow': 'reject-publish' };
    await channel.assertQueue('waybill.full', { arguments: full });
    await fill('waybill.full');
    const kept = [
      await bury({ queue: 'waybill.gone', event: { type: 'Nobodys' } }),
      await bury({ queue: 'waybill.full' }),
      await bury({ queue: 'waybill.replies', reason: 'unknown-reply-address' }),
    ] as const;
    const { id } = await bury();
    const { code, stdout, stderr } = await run(t, 'replay', '--all');
    assert.equal(code, 1);
    assert.equal(stdout, `replayed ${id} ${TYPE} to ${queues.work}\n`);
    assert.match(stderr, new RegExp(`^not replayed: ${kept[0].id} Nobodys: no queue takes it`, 'm'));
    assert.match(
      stderr,
      new RegExp(`^not replayed: ${kept[1].id} Sample: the queue for waybill.full is full$`, 'm'),
    );
    assert.match(stderr, new RegExp(`^not replayed: ${kept[2].id} Sample: it is a reply`, 'm'));
    assert.match(stderr, /^replayed 1, not replayed and still here 3$/m);
    assert.deepEqual((await idsIn(DEAD_LETTERS_QUEUE)).sort(), kept.map((event) => event.id).sort());
  });

  /** A quorum queue refuses a message or two later than its length says. */
  async function fill(queue: string): Promise<void> {
    await eventually(async () => {
      const refused = await new Promise((resolve) =>
        channel.publish('', queue, Buffer.from(''), {}, resolve),
      );
      assert.ok(refused);
    });
  }

  it('replays only what the options select', async (t) => {
    const { id } = await bury({ reason: 'no-handler' });
    await bury();
    await run(t, 'replay', '--all', '--reason', 'no-handler');
    assert.deepEqual(await idsIn(queues.work), [id]);
    await expectDepth(DEAD_LETTERS_QUEUE, 1);
  });

  it('on Ctrl-C ends what it is at, and has each event in one place', async (t) => {
    const ids = await buryMany(300);
    const { child, ended } = start(t, ['replay', '--all']);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    const [replayed, left] = [await idsIn(queues.work), await idsIn(DEAD_LETTERS_QUEUE)];
    assert.deepEqual([...replayed, ...left].sort(), ids);
    assert.match(stderr, new RegExp(`^replayed ${replayed.length}$`, 'm'));
    if (left.length > 0) assert.deepEqual([code, stderr.trimEnd().split('\n').at(-1)], [1, 'interrupted']);
  });

  it('loses nothing when it is killed', async (t) => {
    const ids = await buryMany(300);
    const { child, ended } = start(t, ['replay', '--all']);
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await ended;
    await expectAll(ids);
  });

  it('loses nothing when the connection breaks, and says which event it may have replayed', async (t) => {
    const ids = await buryMany(300);
    const proxy = await startTcpProxy({ target: broker.url });
    t.after(() => proxy.close());
    const { child, ended } = start(t, ['replay', '--all', '--amqp', proxy.through(broker.url)]);
    await once(child.stdout, 'data');
    proxy.reset();
    const { code, stderr } = await ended;
    await expectAll(ids);
    if (code !== 0)
      assert.match(stderr, /^(perhaps replayed, and still here: .*\n)?the broker ended it: .*\n$/);
  });

  /** Each is at the service, among the dead letters, or in both places. */
  async function expectAll(ids: string[]): Promise<void> {
    const replayed = await idsIn(queues.work);
    const seen = new Set(replayed);
    await eventually(async () => {
      for (const id of await idsIn(DEAD_LETTERS_QUEUE)) seen.add(id);
      assert.deepEqual([...seen].sort(), ids);
    }, DEADLINE);
  }

  it('lets one operator at a time in, so that nothing is replayed twice and none sees half', async (t) => {
    const ids = await buryMany(50);
    const both = await Promise.all([run(t, 'replay', '--all'), run(t, 'replay', '--all')]);
    assert.deepEqual((await idsIn(queues.work)).sort(), ids);
    const [first, second] = both.toSorted((a, b) => a.code - b.code);
    assert.equal(first?.code, 0);
    assert.match(
      second?.stderr ?? '',
      /^(there are no such dead letters|another bin\/dead-letters\.mjs is at work.*)\n$/,
    );
  });

  it('says that another operator is at work when that takes long', async (t) => {
    const lock = await model.createChannel();
    const arguments_ = { 'x-queue-type': 'classic' };
    await lock.assertQueue('waybill.dead-letters.lock', {
      exclusive: true,
      durable: false,
      arguments: arguments_,
    });
    const { code, stderr } = await run(t, 'list');
    await lock.deleteQueue('waybill.dead-letters.lock');
    assert.equal(code, 1);
    assert.match(stderr, /^another bin\/dead-letters\.mjs is at work at this broker: .*\n$/);
  });

  it('discards what is named, after printing it, and never unasked', async (t) => {
    const { id } = await bury();
    const other = await bury();
    const refused = await run(t, 'discard', id);
    assert.deepEqual([refused.code, refused.stderr], [1, 'nobody can be asked here: discard needs --yes\n']);
    await expectDepth(DEAD_LETTERS_QUEUE, 2);
    const { code, stdout, stderr } = await run(t, 'discard', id, '--yes');
    assert.deepEqual({ code, stderr }, { code: 0, stderr: 'discarded 1\n' });
    assert.match(stdout, new RegExp(`^${id} +Sample +handler-failed`, 'm'));
    assert.deepEqual(await idsIn(DEAD_LETTERS_QUEUE), [other.id]);
  });

  it('tells each way in which it cannot begin in one line, and never the password', async (t) => {
    const fails = async (message: RegExp, ...args: string[]) => {
      const { code, stdout, stderr } = await run(t, ...args);
      assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
      assert.match(stderr.trimEnd(), message);
      assert.equal(stderr.split('\n').length, 2);
      assert.doesNotMatch(stderr, /canary/);
    };
    await fails(/^give a command: /);
    await fails(/^give a command: /, 'lose');
    await fails(/^list takes no id/, 'list', 'x');
    await fails(/^replay takes an id or --all/, 'replay');
    await fails(/^discard takes an id or --all/, 'discard', 'x', '--all');
    await fails(/^there is no such dead letter: x$/, 'show', 'x');
    await fails(/^there are no such dead letters$/, 'replay', '--all');
    await fails(
      /^there is no reason handler-faild: did you mean handler-failed\? \(there are unparsable, /,
      ...['list', '--reason', 'handler-faild'],
    );
    await fails(/^Unknown option '--nope'; see --help$/, 'list', '--nope');
    await fails(/^the broker's URL .* is not amqp:/, 'list', '--amqp', 'http://u:canary@h');
    const nowhere = `amqp://u:canary@127.0.0.1:${await freePort()}`;
    await fails(/^no broker listens at 127.0.0.1:\d+: name one with --amqp$/, 'list', '--amqp', nowhere);
    const wrong = new URL(broker.url);
    wrong.password = 'canary';
    await fails(/refuses user guest: is the password right\?$/, 'list', '--amqp', wrong.href);
  });

  it('has a replayed event attempted anew, in a new trace that is linked to the old one', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(() => receiver.close());
    const main = 'packages/listener/src/behaviours-program.fixture.ts';
    const env = { AMQP_URL: broker.url, CONCURRENCY: '4', ...receiver.env };
    const listener = await startService({ name: 'unlucky', main, args: ['unlucky'], env });
    t.after(() => listener.kill('SIGKILL'));
    await listener.ready(DEADLINE.timeoutMs);
    const event = makeEvent({ type: 'unlucky.Throw', traceparent: TRACEPARENT });
    await bury({ event, queue: 'waybill.unlucky' });

    // It fails again, and what is replayed with --all is what was there.
    assert.equal((await run(t, 'replay', '--all')).stderr, 'replayed 1\n');

    const again = await eventually(async () => {
      const [message] = await drain(DEAD_LETTERS_QUEUE);
      assert.ok(message);
      return message;
    }, DEADLINE);
    const attempts = await receiver.waitFor(() => {
      const spans = receiver.spans().filter(({ name }) => name === 'process unlucky.Throw');
      return spans.length >= 2 && spans.sort((a, b) => Number(a.start - b.start));
    }, DEADLINE);
    assert.equal(again.properties.headers?.['waybill-attempts'], 2, 'the handler allows two');
    assert.equal(again.properties.headers?.['waybill-trace-id'], attempts[0]?.traceId);
    assert.deepEqual(
      attempts.map(({ traceId, links }) => [traceId === attempts[0]?.traceId, links]),
      [
        [true, [{ traceId: TRACE, spanId: 'b7ad6b7169203331' }]],
        [true, []],
      ],
    );
    assert.notEqual(attempts[0]?.traceId, TRACE);
    assert.equal(attempts[0]?.parentSpanId, undefined);
  });

  it('says that no service has been at the broker', async (t) => {
    const empty = await freshBroker();
    t.after(() => empty.close());
    const { code, stderr } = await start(t, ['list', '--amqp', empty.url]).ended;
    assert.deepEqual([code, /^there is no queue waybill\.dead-letters: /.test(stderr)], [1, true]);
  });

  /** A queue that, like each one on RabbitMQ 4, drops what was given back more than 20 times. */
  async function limitedBroker(t: TestContext) {
    const fresh = await freshBroker();
    const other = await connect(fresh.url);
    t.after(async () => {
      await other.close();
      await fresh.close();
    });
    const limited = await other.createConfirmChannel();
    const limits = { 'x-queue-type': 'quorum', 'x-delivery-limit': 20 };
    await limited.assertQueue(DEAD_LETTERS_QUEUE, { arguments: limits });
    return {
      url: fresh.url,
      channel: limited,
      async bury(): Promise<CloudEvent> {
        const event = await bury();
        const [{ content, properties }] = (await drain(DEAD_LETTERS_QUEUE)) as [GetMessage];
        limited.publish('', DEAD_LETTERS_QUEUE, content, properties);
        await limited.waitForConfirms();
        return event;
      },
    };
  }
});

function makeEvent(attributes: Partial<CloudEvent> = {}): CloudEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type: TYPE,
    traceparent: TRACEPARENT,
    ...attributes,
  };
}

function eventIn(message: GetMessage | undefined): CloudEvent {
  return JSON.parse(String(message?.content));
}
