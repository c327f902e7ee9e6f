import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import { DEFAULT_EVENT_BYTES } from '@waybill/common/batch-limits.ts';
import { serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { ask, post } from './client.ts';
import { type DeadLetter, takeDeadLetters } from './evidence.ts';
import { createTiers, type Tiers } from './tiers.ts';

const WORK_QUEUE = serviceQueues('behaviours').work;
const MAX_ATTEMPTS = 5;
/** 0.2, 1, 5 and 5 s lie between the attempts. */
const RETRIES_MS = 11_200;
const DEADLINE_MS = 60_000;
/** More than the default, in every tier that has the setting. */
const MAX_EVENT_BYTES = 1_000_000;

const GARBAGE: Record<string, { contentType: string; body: string | Buffer }> = {
  'half an event': { contentType: 'application/cloudevents+json', body: '{"specversion":"1.0","id":' },
  'bytes that are no text': { contentType: 'application/cloudevents+json', body: Buffer.from([0xff, 0xfe]) },
  'no events': { contentType: 'application/cloudevents-batch+json', body: '[]' },
  'something else': { contentType: 'text/plain', body: 'hello' },
};

describe('among messages that no handler can handle', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let web: Service;
  let listener: Service;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    await tiers.startDispatcher();
    listener = await tiers.startBehaviours({ MAX_EVENT_BYTES: `${MAX_EVENT_BYTES}` });
    web = await tiers.startPublicWeb({
      DEADLINE_MS: `${DEADLINE_MS}`,
      MAX_EVENT_BYTES: `${MAX_EVENT_BYTES}`,
    });
    model = await connect(broker.url);
    channel = await model.createChannel();
  });
  after(async () => {
    await model?.close();
    await tiers?.stopAll();
    await broker?.close();
  });
  beforeEach(() => takeDeadLetters(broker.url));

  const echo = () => ask(web, { type: 'behaviours.Echo', data: 'hello' });
  const attemptsAt = (id: string) =>
    listener.logs.filter(({ msg, event_id }: LogLine) => msg === 'started' && event_id === id).length;
  /** The answer may be here before the lines about how it came about. */
  const expectAttempts = async (ids: string[], counts: number[]) => {
    await eventually(() => assert.deepEqual(ids.map(attemptsAt), counts));
  };

  it('garbage is dead-lettered raw with the reason, and events behind it are answered', async () => {
    for (const { contentType, body } of Object.values(GARBAGE))
      channel.sendToQueue(WORK_QUEUE, Buffer.from(body), { contentType });
    for (const _ of Object.keys(GARBAGE)) assert.equal((await echo()).status, 200);
    const letters: DeadLetter[] = [];
    await eventually(async () => {
      letters.push(...(await takeDeadLetters(broker.url)));
      assert.ok(letters.length >= Object.keys(GARBAGE).length);
    });
    await broker.emptied({ prefix: WORK_QUEUE });
    letters.push(...(await takeDeadLetters(broker.url)));
    assert.deepEqual(
      letters.map(({ reason }) => reason),
      Object.keys(GARBAGE).map(() => 'unparsable'),
    );
  });

  it('an event that always fails is given up after 5 attempts, its client told 502 then; its batch goes on', async () => {
    const ids = { well: randomUUID(), poison: randomUUID() };
    const stumble = (id: string, times: number) => ({
      specversion: '1.0',
      source: '/test',
      type: 'behaviours.Stumble',
      id,
      data: { times },
    });
    const poisoned = askBatch([stumble(ids.poison, MAX_ATTEMPTS), stumble(ids.well, 0)]);
    await listener.waitForLog(({ attempt, event_id }) => attempt === 2 && event_id === ids.poison);
    for (let asked = 0; asked < 20; asked += 1) assert.equal((await echo()).status, 200);
    assert.ok(attemptsAt(ids.poison) < MAX_ATTEMPTS, 'they wait for no retry');

    const { answers, waitMs } = await poisoned;
    assert.deepEqual(
      answers.map(({ type }) => type),
      ['waybill.Problem', 'behaviours.Answer'],
    );
    assert.deepEqual([answers[0]?.data.status, answers[0]?.data.event_id], [502, ids.poison]);
    assert.ok(waitMs > RETRIES_MS - 1_000, `it backs off between attempts: ${waitMs} ms`);
    assert.ok(waitMs < DEADLINE_MS / 2, `it does not wait for the deadline: ${waitMs} ms`);
    await expectAttempts([ids.poison, ids.well], [MAX_ATTEMPTS, 1]);
    const [letter, ...others] = (await takeDeadLetters(broker.url)) as [DeadLetter];
    assert.deepEqual([letter.id, letter.reason, others], [ids.poison, 'handler-failed', []]);
  });

  it('a body of exactly the limit is answered, and one byte more is refused before anything is published', async () => {
    const [within, beyond] = [bodyOf(MAX_EVENT_BYTES), bodyOf(MAX_EVENT_BYTES + 1)];
    const refused = await post(web, beyond.text);
    assert.deepEqual([refused.status, refused.body.code], [413, 'too-large']);
    assert.match(String(refused.body.detail), new RegExp(`${MAX_EVENT_BYTES} bytes`));
    const answer = await post(web, within.text);
    assert.equal(answer.status, 200);
    // Behind it in every queue, so that an event sent by mistake would have come.
    assert.equal((await echo()).status, 200);
    await expectAttempts([within.id, beyond.id], [1, 0]);
  });

  it('a reply over the limit is an error for its own client, at once', async () => {
    const large = await ask(web, { type: 'behaviours.Large', data: { bytes: MAX_EVENT_BYTES } });
    assert.deepEqual([large.status, large.body.code], [502, 'handler-failed']);
    const detail = new RegExp(
      `^the reply has 1000\\d{3} bytes, more than ${MAX_EVENT_BYTES} .*MAX_EVENT_BYTES`,
    );
    assert.match(String(large.body.detail), detail);
    assert.ok(large.waitMs < DEADLINE_MS / 2);
    assert.equal((await echo()).status, 200);
  });

  it('where the limits of tiers differ, each holds for what its own tier lets in or makes', async () => {
    const smaller = await tiers.startPublicWeb();
    const beyond = await post(smaller, bodyOf(DEFAULT_EVENT_BYTES + 1).text);
    assert.deepEqual([beyond.status, beyond.body.code], [413, 'too-large']);
    const bytes = MAX_EVENT_BYTES - 2_000;
    const reply = await ask(smaller, { type: 'behaviours.Large', data: { bytes } });
    assert.equal(reply.status, 200);
    assert.equal(String(reply.body.data).length, bytes);
    await tiers.stop(smaller);
  });

  async function askBatch(events: object[]) {
    const startedMs = performance.now();
    const response = await fetch(web.baseUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      body: JSON.stringify(events),
    });
    const answers = (await response.json()) as {
      type: string;
      data: { status?: number; event_id?: string };
    }[];
    return { answers, waitMs: performance.now() - startedMs };
  }
});

/** A plain event that is `bytes` long as it is sent. */
function bodyOf(bytes: number): { id: string; text: string } {
  const id = randomUUID();
  const make = (padding: string) =>
    JSON.stringify({ id, type: 'behaviours.Stumble', data: { times: 0, padding } });
  return { id, text: make('x'.repeat(bytes - make('').length)) };
}
