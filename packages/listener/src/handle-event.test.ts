import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import { attemptsIn, createListenerBench, makeRequest } from './listener-bench.fixture.ts';
import { createMemoryBench, type ListenerHere, type MemoryBench } from './memory-bench.fixture.ts';

const SERVICE = 'events';
const TRACE_ID = '0123456789abcdef0123456789abcdef';
const traced = { traceparent: `00-${TRACE_ID}-0123456789abcdef-01`, tracestate: 'vendor=1' };

/** The next attempt would be the last of five. */
const fourFailures = { headers: { 'waybill-failed-attempts': 4 } };

const request = (behaviour: string, attributes?: Partial<CloudEvent>) =>
  makeRequest(SERVICE, behaviour, attributes);
const inMs = (ms: number) => new Date(Date.now() + ms).toISOString();

describe('a listener handling an event', { concurrency: true }, () => {
  let bench: MemoryBench;
  let listener: ListenerHere;
  before(async () => {
    bench = await createMemoryBench();
    listener = await bench.startReady(SERVICE);
  });
  after(() => bench.close());

  /** The problem that the client of `event` is told, and the reply it came in. */
  async function problemOf(event: CloudEvent) {
    const reply = await bench.replyTo(event);
    assert.equal(reply.type, 'waybill.Problem');
    const problem = reply.data as Record<string, unknown>;
    assert.equal(problem.status, 502);
    assert.equal(problem.event_id, event.id);
    return { problem, text: JSON.stringify(reply) };
  }

  /** How the listener is done with `event`; the lines of all attempts at it have come by then. */
  async function outcomeOf(event: CloudEvent): Promise<unknown> {
    const isDone = ({ event_id, outcome }: LogLine) =>
      event_id === event.id && outcome && outcome !== 'retried';
    return (await listener.waitForLog((line) => Boolean(isDone(line)))).outcome;
  }

  async function attemptsAt(event: CloudEvent): Promise<LogLine[]> {
    await outcomeOf(event);
    return attemptsIn(listener.logs, event);
  }

  it('answers with the correlation id, the address unread, the deadline, its name and the trace', async () => {
    const event = request('Echo', { data: 7, expirytime: inMs(60_000), ...traced });
    await bench.send(event);
    const reply = await bench.replyTo(event);
    assert.deepEqual(reply.data, { data: 7, attempt: 1 });
    for (const name of ['correlationid', 'replyto', 'expirytime', 'traceparent', 'tracestate'])
      assert.equal(reply[name], event[name], name);
    assert.match(String(reply.handledby), new RegExp(`^${SERVICE}/[0-9a-f-]{36}$`));
  });

  it('tries an event again that failed once, without holding up its batch neighbours', async () => {
    const events = Array.from({ length: 16 }, (_, index) =>
      index === 3 ? request('Stumble', { data: { times: 1 } }) : request('Echo'),
    );
    const stumbling = events[3] as CloudEvent;
    await bench.send(events);
    const last = await bench.replyTo(stumbling);
    assert.deepEqual(last.data, { attempt: 2 });
    // All others are in by then.
    for (const event of events) assert.equal(bench.repliesTo(event).length, 1);
    for (const event of events) assert.equal((await attemptsAt(event)).length, event === stumbling ? 2 : 1);
  });

  it('waits longer before each further attempt', async () => {
    const event = request('Stumble', { data: { times: 2 } });
    await bench.send(event);
    assert.deepEqual((await bench.replyTo(event)).data, { attempt: 3 });
    const [first, second, third] = (await attemptsAt(event)).map(({ time }) => Number(time)) as [
      number,
      number,
      number,
    ];
    assert.ok(second - first >= 200, `${second - first} ms`);
    assert.ok(third - second >= 1_000, `${third - second} ms`);
  });

  it('gives an event up that fails every time: a dead letter without a stack, and a problem without the message', async () => {
    const event = request('Throw', traced);
    await bench.send(event);
    const { problem, text } = await problemOf(event);
    assert.equal(problem.reason, 'handler-failed');
    assert.equal(problem.error_code, 'E_SECRET');
    assert.doesNotMatch(text, /internals/);

    const dead = await bench.deadLetter(event.id);
    assert.equal((await attemptsAt(event)).length, 2);
    assert.deepEqual(JSON.parse(dead.body), event);
    const { reason, queue, attempts: counted, code, message, traceId } = dead;
    assert.deepEqual(
      { reason, queue, attempts: counted, code, message, traceId },
      {
        reason: 'handler-failed',
        queue: `waybill.${SERVICE}`,
        attempts: 2,
        code: 'E_SECRET',
        message: 'the secret internals',
        traceId: TRACE_ID,
      },
    );
    assert.doesNotMatch(JSON.stringify(dead.headers), /\.ts|node:internal/);
  });

  it('gives an event up after 5 attempts, unless told otherwise', async () => {
    const event = request('Fail');
    await bench.send(event, fourFailures);
    await problemOf(event);
    assert.equal((await bench.deadLetter(event.id)).attempts, 5);
    assert.deepEqual(
      (await attemptsAt(event)).map(({ attempt }) => attempt),
      [5],
    );
  });

  it('does not try again after a TerminalError, whose code and message are for the client', async () => {
    const event = request('Refuse');
    await bench.send(event);
    const { problem } = await problemOf(event);
    assert.equal(problem.error_code, 'card-declined');
    assert.equal(problem.detail, 'the card was declined');
    assert.equal((await bench.deadLetter(event.id)).attempts, 1);
    assert.equal((await attemptsAt(event)).length, 1);
  });

  it('tells the cause of an error to the reader of the dead letter, and not to the client', async () => {
    const event = request('Refuse');
    await bench.send(event);
    const { text } = await problemOf(event);
    assert.doesNotMatch(text, /10\.0\.0\.7/);
    const { headers } = await bench.deadLetter(event.id);
    const words = 'the card was declined: the card reader at 10.0.0.7:5432 says no';
    assert.equal(headers['waybill-error-message'], words);
  });

  it('shortens the message of a TerminalError that no reply could hold', async () => {
    const event = request('Refuse', { data: 'x'.repeat(300_000) });
    await bench.send(event);
    const { problem } = await problemOf(event);
    assert.match(String(problem.detail), /^x{1000}$/);
  });

  for (const thrown of ['a string', null, 0, { code: 7 }])
    it(`gives an event up whose handler throws ${JSON.stringify(thrown)}, as for an error`, async () => {
      const event = request('Throw', { data: { thrown } });
      await bench.send(event);
      await problemOf(event);
      const dead = await bench.deadLetter(event.id);
      assert.equal(dead.reason, 'handler-failed');
      assert.equal(dead.attempts, 2);
      assert.equal(dead.message, toAppError(thrown).message);
    });

  for (const kind of [
    'a frozen error',
    'an error with a frozen one in it',
    'an error whose getters throw',
    'an error with a member whose getter throws',
    'an error whose code is no text',
    'a proxy that refuses everything',
    'a revoked proxy',
    'an object whose text throws',
    'a symbol',
    'undefined',
  ])
    it(`takes ${kind} for an error: one retry, a dead letter, and nothing for its neighbours`, async () => {
      const [event, neighbour] = [request('ThrowUnreadable', { data: { kind } }), request('Echo')];
      await bench.send([event, neighbour]);
      await problemOf(event);
      const { reason, attempts } = await bench.deadLetter(event.id);
      assert.deepEqual({ reason, attempts }, { reason: 'handler-failed', attempts: 2 });
      assert.equal((await attemptsAt(event)).length, 2);
      assert.equal((await attemptsAt(neighbour)).length, 1);
      const [line] = listener.logs.filter(({ event_id, err }) => event_id === event.id && err);
      assert.equal(line?.level, 'warn');
    });

  it('shows every attempt, and the dead letter, the event as it came, whatever a handler does to it', async () => {
    const event = request('Consume', { data: { list: [1, 2, 3] }, subject: 'kept' });
    await bench.send([request('Echo'), event]);
    assert.equal((await problemOf(event)).problem.error_code, 'Error');
    assert.equal((await attemptsAt(event)).length, 3);
    const seen = listener.logs.filter(({ event_id, msg }) => event_id === event.id && msg === 'seen');
    assert.deepEqual(
      seen.map(({ list }) => list),
      [
        [1, 2, 3],
        [1, 2, 3],
        [1, 2, 3],
      ],
    );
    assert.deepEqual(JSON.parse((await bench.deadLetter(event.id)).body), event);
  });

  it('answers the client, though the handler changed its event', async () => {
    const event = request('ConsumeAndAnswer', { expirytime: inMs(60_000) });
    await bench.send(event);
    const reply = await bench.replyTo(event);
    assert.deepEqual([reply.data, reply.replyto], ['consumed', event.replyto]);
  });

  it('is done with an event whose handler fails when it is told that all is confirmed', async () => {
    const event = request('ConfirmBadly');
    await bench.send(event);
    assert.equal(await outcomeOf(event), 'handled');
    assert.equal((await attemptsAt(event)).length, 1);
    assert.equal(bench.repliesTo(event).length, 1);
  });

  it('fails an event at once whose next attempt would come after its deadline', async () => {
    const event = request('Stumble', { data: { times: 5 }, expirytime: inMs(4_900) });
    // The delay before a fifth attempt is 5 s.
    await bench.send(event, { headers: { 'waybill-failed-attempts': 3 } });
    await problemOf(event);
    assert.equal((await bench.deadLetter(event.id)).attempts, 4);
  });

  it('does not start an event whose deadline has passed', async () => {
    const expired = request('Echo', { expirytime: inMs(-1) });
    const neighbour = request('Echo');
    await bench.send([expired, neighbour]);
    await bench.replyTo(neighbour);
    assert.equal(await outcomeOf(expired), 'expired');
    assert.equal((await attemptsAt(expired)).length, 0);
    assert.equal(bench.repliesTo(expired).length, 0);
  });

  it('retries a type that no handler takes, then gives it up', async () => {
    const type = `${SERVICE}.NobodyHandles`;
    await bench.bind(SERVICE, type);
    const [fresh, last] = [request('NobodyHandles'), request('NobodyHandles')];
    await bench.send(fresh);
    await bench.send(last, fourFailures);
    await listener.waitForLog(
      ({ event_id, msg }) => event_id === fresh.id && /will be retried/.test(msg ?? ''),
    );
    assert.equal((await problemOf(last)).problem.reason, 'no-handler');
    const dead = await bench.deadLetter(last.id);
    assert.equal(dead.reason, 'no-handler');
    assert.equal(dead.attempts, 5);
  });

  it('hands on what moved to another service, tells its client nothing, and takes no more of it', async () => {
    const other = 'successor';
    await bench.startReady(other);
    const type = `${other}.Echo`;
    await bench.bind(SERVICE, type);
    const first = makeRequest(other, 'Echo');
    await bench.send(first, fourFailures);
    assert.equal(await outcomeOf(first), 'handed-on');
    const later = makeRequest(other, 'Echo');
    await bench.send(later, fourFailures);
    await bench.replyTo(later);
    const event = request('Echo');
    await bench.send(event);
    await bench.replyTo(event);

    // Its own copy, and the one that was handed on; no problem among them.
    await bench.waitForReplies(() => bench.repliesTo(first).length === 2);
    assert.deepEqual(
      new Set(bench.repliesTo(first).map((reply) => reply.type)),
      new Set([`${other}.Answer`]),
    );
    assert.ok(!listener.logs.some(({ event_id }) => event_id === later.id));
    assert.ok(!bench.deadLetters().some(({ body }) => body.includes(first.id)));
  });

  it('ends an attempt that takes longer than timeoutMs, tells its handler, and tries again', async () => {
    const event = request('Hang');
    await bench.send(event);
    assert.equal((await problemOf(event)).problem.error_code, 'handler-timeout');
    assert.equal((await bench.deadLetter(event.id)).attempts, 2);
    await outcomeOf(event);
    const aborted = listener.logs.filter(({ msg, event_id }) => msg === 'aborted' && event_id === event.id);
    assert.deepEqual(
      aborted.map(({ reason }) => reason),
      ['handler-timeout', 'handler-timeout'],
    );
  });

  it('ends one whose promise is of another library as well', async () => {
    const event = request('HangElsewhere');
    await bench.send(event);
    assert.equal((await problemOf(event)).problem.error_code, 'handler-timeout');
  });

  it('ends an attempt at the deadline of its event, and does not take the event for a bad one', async () => {
    const event = request('Hold', { expirytime: inMs(5_000) });
    await bench.send(event);
    assert.equal(await outcomeOf(event), 'expired');
    assert.ok(Date.now() >= Date.parse(String(event.expirytime)) - 5);
    assert.equal((await attemptsAt(event)).length, 1);
  });

  it('takes settings that are undefined for absent ones', async () => {
    const event = request('Defaults');
    await bench.send(event);
    assert.equal((await bench.replyTo(event)).type, `${SERVICE}.Answer`);
    assert.equal((await attemptsAt(event)).length, 1);
  });

  for (const returns of [undefined, null, {}, { events: [] }])
    it(`tells a client that it is done when the handler returns ${JSON.stringify(returns)}`, async () => {
      const event = request('Return', { data: { returns } });
      await bench.send(event);
      const { type, data, data_base64 } = await bench.replyTo(event);
      assert.deepEqual([type, data, data_base64], ['waybill.NoContent', undefined, undefined]);
      assert.equal(await outcomeOf(event), 'handled');
    });

  it('wants no reply, and publishes none, where nobody waits', async () => {
    const [silent, answering] = [request('Return', { data: {} }), request('Echo')];
    delete silent.replyto;
    delete answering.replyto;
    await bench.send([silent, answering]);
    for (const event of [silent, answering]) assert.equal(await outcomeOf(event), 'handled');
    assert.equal(bench.repliesTo(answering).length, 0);
  });

  it('keeps a delayed event for its delay, and then takes it for a first attempt of its own service', async () => {
    const event = request('Later');
    delete event.replyto;
    const next = { ...event, id: `${event.id}/1` };
    await bench.send(event);
    const [first] = await attemptsAt(event);
    const [second, ...others] = await attemptsAt(next);
    assert.deepEqual([second?.attempt, others.length], [1, 0]);
    assert.ok(Number(second?.time) - Number(first?.time) >= 200);
  });

  it('tells a handler when all it made is confirmed, and not before', async () => {
    const event = request('Later');
    delete event.replyto;
    await bench.send(event);
    await attemptsAt(event);
    const said = listener.logs.filter(
      ({ event_id, msg }) => event_id === event.id && msg !== 'event handled',
    );
    assert.deepEqual(
      said.map(({ msg }) => msg),
      ['started', 'finished', 'all is confirmed'],
    );
  });

  const unfit: Record<string, [behaviour: string, data: unknown, code: string]> = {
    'an invalid type': ['Return', { returns: { reply: { type: 'not a type' } } }, 'invalid-reply'],
    'a type that means something else on the way back': [
      'Return',
      { returns: { reply: { type: 'waybill.Progress' } } },
      'invalid-reply',
    ],
    'circular data': ['Circular', null, 'invalid-reply'],
    'a BigInt': ['BigInt', null, 'invalid-reply'],
    'data nested deeper than the next tier takes': ['Deep', 100, 'invalid-reply'],
    'more than 256 kB': ['Large', { bytes: 256 * 1024 }, 'reply-too-large'],
    'an invalid further event': [
      'Return',
      { returns: { reply: { type: 'Fine' }, events: [{ type: 'not a type' }] } },
      'invalid-event',
    ],
  };
  for (const [what, [behaviour, data, code]] of Object.entries(unfit))
    it(`tells the client of a handler that returns ${what}, and none else of the same address`, async () => {
      const event = request(behaviour, { data });
      const neighbour = request('Echo');
      await bench.send([event, neighbour]);
      const { problem, text } = await problemOf(event);
      assert.equal(problem.error_code, code);
      assert.doesNotMatch(text, /internals/);
      assert.equal((await attemptsAt(event)).length, 1);
      assert.equal((await bench.replyTo(neighbour)).type, `${SERVICE}.Answer`);
    });

  it('publishes the further events of a handler, without anybody waiting for them', async () => {
    const event = request('Fan', { data: { type: `${SERVICE}.Note`, count: 3 } });
    await bench.send(event);
    await bench.replyTo(event);
    const notes = () =>
      listener.logs.filter(({ msg, event_type }) => msg === 'finished' && event_type === `${SERVICE}.Note`);
    await listener.waitForLog(() => notes().length === 3);
  });

  it('dead-letters an event of handlers that make one from another without end', async () => {
    const event = request('Loop');
    delete event.replyto;
    await bench.send(event);
    const loops = () =>
      listener.logs.filter(({ msg, event_type }) => msg === 'started' && event_type === event.type);
    const dead = await bench.deadLetter(event.type);
    assert.deepEqual([dead.reason, dead.code, dead.attempts], ['too-many-hops', 'too-many-hops', 1]);
    assert.equal(JSON.parse(dead.body).hops, 33);
    await listener.waitForLog(
      ({ msg, event_type }) => event_type === event.type && /given up/.test(msg ?? ''),
    );
    assert.equal(loops().length, 33);
  });

  it('counts no hop for an event that goes on with the same work', async () => {
    const event = request('Continue', { data: 3, hops: 32 });
    delete event.replyto;
    await bench.send(event);
    const isLast = ({ msg, event_type }: LogLine) => msg === 'finished' && event_type === event.type;
    await listener.waitForLog(() => listener.logs.filter(isLast).length === 4);
  });

  it('publishes further events also where nobody takes them', async () => {
    const event = request('Fan', { data: { type: 'NobodyTakesThis', count: 2 } });
    await bench.send(event);
    assert.equal((await bench.replyTo(event)).data, 'fanned');
  });

  it('fails an event whose further event no queue takes though one has to, instead of waiting for one', async () => {
    const event = request('Fan', { data: { type: 'NobodyTakesThis', count: 1, mandatory: true } });
    await bench.send(event, fourFailures);
    assert.equal((await problemOf(event)).problem.error_code, 'unroutable');
  });
});

describe('a listener that exports its spans', () => {
  it('makes a span of the trace of the event, and the reply is its child', async (t) => {
    const receiver = await startOtlpReceiver();
    t.after(() => receiver.close());
    const bench = await createListenerBench();
    t.after(() => bench.close());
    const service = 'traced';
    await bench.startReady(service, { env: receiver.env });
    const event = makeRequest(service, 'Echo', traced);
    await bench.send(event);
    const reply = await bench.replyTo(event);
    const span = await receiver.waitFor(() =>
      receiver.spans().find(({ name }) => name === `process ${event.type}`),
    );
    assert.equal(span.kind, 'consumer');
    assert.equal(span.traceId, TRACE_ID);
    assert.equal(span.parentSpanId, '0123456789abcdef');
    assert.equal(reply.traceparent, `00-${TRACE_ID}-${span.spanId}-01`);
  });
});
