/** Streams of events as a client of the contract alone sees them; who answers the events is played by the test. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, describe, it } from 'node:test';
import { status } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { problemFor, toProblem } from '@waybill/common/problem.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import {
  createNimbusStranger,
  type NimbusRequest,
  type NimbusStranger,
  type NimbusStream,
  take,
} from '@waybill/test-harness/nimbus-stranger.ts';
import { pino } from 'pino';
import { createAdmit } from '../../admission/admission.ts';
import { createUnstoredSessions } from '../../clients/unstored-sessions.ts';
import type { Answer, Requester } from '../../core/answer-event.ts';
import { createGrpcApp } from './grpc-app.ts';

const log = pino({ level: 'silent' });
const CLIENT = { client_id: 'one' };
const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0).reverse()) await close();
});

/** An event that public-web asks to be answered. */
type Asked = { event: CloudEvent; requester: Requester; answer(answer?: Partial<Answer>): void };

type Edge = {
  client: NimbusStranger;
  /** Grows. */
  asked: Asked[];
  /** May be replaced at any time. */
  onAsked(asked: Asked): void;
  close(deadlineMs?: number): Promise<void>;
};

/** Serves streams; by default events are answered at once, with the square. */
async function start({
  maxStreams = 100,
  maxUnderWay = 1_000,
  rate = 0,
  onAsked = (asked: Asked) => asked.answer(),
} = {}): Promise<Edge> {
  const edge: Partial<Edge> & Pick<Edge, 'asked' | 'onAsked'> = { asked: [], onAsked };
  const { port, close } = await createGrpcApp({
    admit: createAdmit({ apiKeys: undefined, addressRate: rate }),
    acceptClient: undefined,
    site: undefined,
    streams: {
      sessions: createUnstoredSessions({
        answerEvent: (event, requester) =>
          new Promise((resolve) => {
            const answer = (given: Partial<Answer> = { reply: squareOf(event) }) =>
              resolve({ id: event.id, ...given } as Answer);
            edge.asked.push({ event, requester, answer });
            edge.onAsked({ event, requester, answer });
          }),
        deadlineMs: 1_234,
      }),
      maxStreams,
      maxUnderWay,
    },
    deadlineMs: 1,
    readiness: () => undefined,
    log,
    host: '127.0.0.1',
    port: 0,
    maxConnections: 100,
  });
  const client = createNimbusStranger(`127.0.0.1:${port}`);
  cleanUp.push(() => close(0), client.close);
  return Object.assign(edge, { client, close });
}

function squareOf({ data }: CloudEvent): CloudEvent {
  const { event_name, number } = data as NimbusRequest;
  const result = { event_name, number, result: Math.imul(number, number) };
  return { specversion: '1.0', id: 'r', source: '/s', type: 'nimbus.result', data: result };
}

function send(stream: NimbusStream, ...numbers: number[]): void {
  for (const number of numbers) stream.write({ event_name: 'sq', number });
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
const squares = (numbers: number[]) =>
  numbers.map((number) => ({ event_name: 'sq', number, result: number * number }));
const hold = () => {};

describe('a stream of events', () => {
  it('answers each event, in the order in which they came, whatever is answered first', async () => {
    const { client, asked } = await start({ onAsked: hold });
    const stream = client.open(CLIENT);
    send(stream, ...upTo(10));
    await eventually(() => assert.equal(asked.length, 10));
    for (const { answer } of asked.toReversed()) answer();
    assert.deepEqual(await take(stream, 10), squares(upTo(10)));
  });

  it('asks for an event named in lower case, and echoes the name as it was sent', async () => {
    const { client, asked } = await start();
    const stream = client.open(CLIENT);
    stream.write({ event_name: 'SQ', number: -3 });
    assert.deepEqual(await take(stream, 1), [{ event_name: 'SQ', number: -3, result: 9 }]);
    assert.equal(asked[0]?.event.type, 'nimbus.sq');
    assert.deepEqual(asked[0]?.event.data, { event_name: 'SQ', number: -3 });
    assert.equal(asked[0]?.requester.deadlineMs, 1_234);
  });

  it('loses no answer when the client ends its half before they are there', async () => {
    const { client, asked } = await start({ onAsked: hold });
    const stream = client.open(CLIENT);
    send(stream, ...upTo(5));
    stream.end();
    await eventually(() => assert.equal(asked.length, 5));
    for (const { answer } of asked) answer();
    assert.deepEqual(await Array.fromAsync(stream), squares(upTo(5)));
  });

  it('gives each stream the answers to its own events', async () => {
    const { client, asked } = await start({ onAsked: hold });
    const [one, two] = [client.open(CLIENT), client.open({ client_id: 'two' })];
    for (const number of upTo(20)) send(number % 2 ? one : two, number);
    one.end();
    two.end();
    await eventually(() => assert.equal(asked.length, 20));
    for (const { answer } of asked) answer();
    assert.deepEqual(await Array.fromAsync(one), squares(upTo(20).filter((number) => number % 2)));
    assert.deepEqual(await Array.fromAsync(two), squares(upTo(20).filter((number) => !(number % 2))));
  });

  it('answers what is refused in its place, with why, and goes on', async () => {
    const onAsked = ({ event, answer }: Asked) =>
      event.type === 'nimbus.sq' ? answer() : answer({ problem: problemFor('unroutable') });
    const { client } = await start({ onAsked });
    const stream = client.open(CLIENT);
    send(stream, 1);
    for (const event_name of ['cube', '', 'no such name', 'x'.repeat(500)])
      stream.write({ event_name, number: 2 });
    send(stream, 3);
    stream.end();
    const answers = await Array.fromAsync(stream);
    assert.deepEqual(
      answers.map(({ event_name, number, result }) => [event_name.slice(0, 20), number, result]),
      [
        ['sq', 1, 1],
        ...['cube', '', 'no such name', 'x'.repeat(20)].map((name) => [name, 2, 0]),
        ['sq', 3, 9],
      ],
    );
  });

  for (const data of [undefined, null, {}, { result: '4' }, { result: 2 ** 31 }, { result: 0.5 }])
    it(`takes a reply with the data ${JSON.stringify(data)} for none with a result`, async () => {
      const reply = { specversion: '1.0' as const, id: 'r', source: '/s', type: 'nimbus.result', data };
      const { client } = await start({ onAsked: ({ answer }) => answer({ reply }) });
      const stream = client.open(CLIENT);
      send(stream, 2);
      assert.deepEqual(await take(stream, 1), [{ event_name: 'sq', number: 2, result: 0 }]);
    });

  for (const [name, headers, code, details] of [
    ['without metadata', {}, status.DATA_LOSS, 'metadata not received'],
    ['without a client id', { other: 'x' }, ...missing()],
    ['with an empty client id', { client_id: '' }, ...missing()],
  ] as const)
    it(`ends a call ${name} with ${status[code]}`, async () => {
      const { client } = await start();
      await assert.rejects(Array.fromAsync(client.open(headers)), { code, details });
    });
});

function missing() {
  return [status.INVALID_ARGUMENT, 'client_id not received or empty in metadata'] as const;
}

describe('the bounds of a stream of events', () => {
  it('reads nothing more while 256 events are unanswered, and goes on when one is answered', async () => {
    const edge = await start({ onAsked: hold });
    const { client, asked } = edge;
    const [stream, other] = [client.open(CLIENT), client.open({ client_id: 'two' })];
    send(stream, ...upTo(1_000));
    await eventually(() => assert.equal(asked.length, 256));
    // What comes later on another stream is taken, so more of the first could have been.
    send(other, 7);
    await eventually(() => assert.equal(asked.length, 257));
    edge.onAsked = ({ answer }) => answer();
    for (const { answer } of asked) answer();
    assert.deepEqual(await take(stream, 1_000), squares(upTo(1_000)));
  });

  it('reads nothing more from a client that does not read its answers', async () => {
    const { client, asked } = await start();
    const stream = client.open(CLIENT).pause();
    const event_name = 'a-name-that-fills-windows-'.repeat(4);
    for (const number of upTo(10_000)) stream.write({ event_name, number });
    const other = client.open({ client_id: 'two' });
    // As many answers as take longer than the first stream needs until it is stopped.
    for (const number of upTo(300)) {
      send(other, number);
      await take(other, 1);
    }
    const taken = asked.filter(({ event }) => event.type !== 'nimbus.sq').length;
    assert.ok(taken < 5_000, String(taken));
    stream.cancel();
  });

  it('has no more events under way than there is room for on all streams, and refuses none', async () => {
    const { client, asked } = await start({ maxUnderWay: 3, onAsked: hold });
    const streams = upTo(4).map((number) => client.open({ client_id: `client-${number}` }));
    for (const stream of streams) send(stream, ...upTo(5));
    for (let next = 0; next < 20; next += 1) {
      await eventually(() => assert.equal(asked.length, Math.min(next + 3, 20)));
      asked[next]?.answer();
    }
    for (const stream of streams) assert.deepEqual(await take(stream, 5), squares(upTo(5)));
  });

  it('gives the room of a client that has gone to others, and gives its events up', async () => {
    const { client, asked } = await start({ maxUnderWay: 1, onAsked: hold });
    const [one, two] = [client.open(CLIENT), client.open({ client_id: 'two' })];
    send(one, 1, 2);
    await eventually(() => assert.equal(asked.length, 1));
    send(two, 7);
    const givenUp = new Promise<void>((resolve) => asked[0]?.requester.client.onGone(resolve));
    one.cancel();
    await givenUp;
    asked[0]?.answer({ problem: toProblem(new AppError('client-gone', 'the client has gone')) });
    await eventually(() => assert.equal(asked.length, 2));
    assert.equal((asked[1]?.event.data as NimbusRequest | undefined)?.number, 7);
  });

  it('slows a client down to its rate, and refuses it nothing', async () => {
    const { client } = await start({ rate: 20 });
    const stream = client.open(CLIENT);
    send(stream, ...upTo(50));
    stream.end();
    const startedMs = performance.now();
    assert.deepEqual(await Array.fromAsync(stream), squares(upTo(50)));
    assert.ok(performance.now() - startedMs > 500);
  });

  it('refuses one stream too many, until another has gone', async () => {
    const { client } = await start({ maxStreams: 1 });
    const stream = client.open(CLIENT);
    send(stream, 1);
    await take(stream, 1);
    await assert.rejects(Array.fromAsync(client.open(CLIENT)), { code: status.RESOURCE_EXHAUSTED });
    stream.end();
    await once(stream.resume(), 'end');
    await eventually(async () => {
      const next = client.open(CLIENT);
      next.end();
      assert.deepEqual(await Array.fromAsync(next), []);
    });
  });
});

describe('a stream of events on an instance that stops', () => {
  it('has its answers, and then ends with UNAVAILABLE', async () => {
    const { client, asked, close } = await start({ onAsked: hold });
    const stream = client.open(CLIENT);
    send(stream, 1, 2);
    await eventually(() => assert.equal(asked.length, 2));
    const closed = close(60_000);
    for (const { answer } of asked) answer();
    const answers: unknown[] = [];
    await assert.rejects(
      async () => {
        for await (const answer of stream) answers.push(answer);
      },
      { code: status.UNAVAILABLE, details: 'this instance stops; connect again' },
    );
    assert.deepEqual(answers, squares([1, 2]));
    await closed;
  });

  it('ends as ever when its client has ended its half', async () => {
    const { client, asked, close } = await start({ onAsked: hold });
    const stream = client.open(CLIENT);
    send(stream, 1);
    stream.end();
    await eventually(() => assert.equal(asked.length, 1));
    const closed = close(60_000);
    asked[0]?.answer();
    assert.deepEqual(await Array.fromAsync(stream), squares([1]));
    await closed;
  });
});
