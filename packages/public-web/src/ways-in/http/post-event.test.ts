import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';
import {
  type CloudEvent,
  INTERNAL_ATTRIBUTES,
  NO_CONTENT_TYPE,
  PROBLEM_TYPE,
} from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { mediaType } from '@waybill/common/event/media-type.ts';
import { type Problem, problemFor } from '@waybill/common/problem.ts';
import type { OnBatch } from '@waybill/test-harness/stand-in.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { answer, confirmAll, deliver, pong, usePublicWeb } from '../../public-web.fixture.ts';
import { createHeldReplies } from '../../replies/held-replies.ts';
import { createPing } from './post-event.ts';

const { dispatcher, publicWeb } = await usePublicWeb({
  env: { PUBLIC_EVENT_TYPES: 'PingRequest,shop.*,*', DEADLINE_MS: '20000', MAX_PARKED: '300' },
});

const ping = { specversion: '1.0', id: 'e1', source: '/client', type: 'PingRequest', data: { sentAt: 1 } };

function post(body: unknown, headers: Record<string, string> = {}, path = '/'): Promise<Response> {
  return fetch(publicWeb.baseUrl + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

async function postBatch(events: unknown[]): Promise<CloudEvent[]> {
  const response = await post(events, { 'content-type': BATCH_CONTENT_TYPE });
  assert.equal(response.status, 200);
  assert.equal(mediaTypeOf(response), BATCH_CONTENT_TYPE);
  return (await response.json()) as CloudEvent[];
}

/** The problem an answer holds: its body must be one, for the status and code given. */
async function problemOf(response: Response, status: number, code: string): Promise<Record<string, unknown>> {
  assert.equal(mediaTypeOf(response), 'application/problem+json');
  const problem = (await response.json()) as Record<string, unknown>;
  assert.deepEqual(
    [response.status, problem.status, problem.code],
    [status, status, code],
    problem.detail as string,
  );
  return problem;
}

function mediaTypeOf(response: Response): string {
  return mediaType(response.headers.get('content-type') ?? '');
}

function ids(events: CloudEvent[]): string[] {
  return events.map(({ correlationid }) => String(correlationid));
}

describe('the plain JSON contract of the ping system', () => {
  for (const path of ['/', '/events']) {
    it(`answers POST ${path} with a PingResponse that keeps the id of the request`, async () => {
      const response = await post({ id: 'mine', type: 'PingRequest', data: { sentAt: 1 } }, {}, path);
      assert.equal(response.status, 200);
      assert.equal(mediaTypeOf(response), 'application/json');
      assert.deepEqual(await response.json(), {
        id: 'mine',
        type: 'PingResponse',
        data: { sentAt: 1, receivedAt: 2 },
      });
    });
  }

  it('makes an id when the request has none', async () => {
    const response = await post({ type: 'PingRequest', data: { sentAt: 1 } });
    const { id } = (await response.json()) as { id: string };
    assert.equal(id, dispatcher.batches[0]?.[0]?.id);
    assert.match(id, /^[0-9a-f-]{36}$/);
  });

  it('answers two concurrent requests with the same id each with its own reply', async () => {
    const answers = await Promise.all(
      [1, 2].map(async (sentAt) => {
        const response = await post({ id: 'same', type: 'PingRequest', data: { sentAt } });
        return (await response.json()) as { id: string; data: { sentAt: number } };
      }),
    );
    assert.deepEqual(
      answers.map(({ id, data }) => [id, data.sentAt]),
      [
        ['same', 1],
        ['same', 2],
      ],
    );
  });

  for (const method of ['GET', 'POST']) {
    it(`answers ${method} /ping with the reply to a PingRequest of its own`, async () => {
      const response = await fetch(`${publicWeb.baseUrl}/ping`, { method });
      const { id, type, data } = (await response.json()) as CloudEvent;
      const [sent] = dispatcher.batches[0] ?? [];
      assert.deepEqual([response.status, id, type], [200, sent?.id, 'PingResponse']);
      assert.deepEqual(data, { ...(sent?.data as object), receivedAt: 2 });
    });
  }
});

describe('the modes of the CloudEvents HTTP binding', () => {
  it('answers a structured event in structured mode', async () => {
    const response = await post(ping, { 'content-type': EVENT_CONTENT_TYPE });
    assert.equal(mediaTypeOf(response), EVENT_CONTENT_TYPE);
    assert.deepEqual(await response.json(), {
      specversion: '1.0',
      id: 'reply to e1',
      source: '/waybill/ping-listener',
      type: 'PingResponse',
      data: { sentAt: 1, receivedAt: 2 },
      requestid: 'e1',
    });
  });

  it('answers a binary event in binary mode, attributes percent-encoded both ways', async () => {
    const response = await post(
      { sentAt: 1 },
      {
        'ce-specversion': '1.0',
        'ce-id': 'caf%C3%A9 1',
        'ce-source': '/client',
        'ce-type': 'PingRequest',
        'ce-shop': '7',
      },
    );
    assert.equal(dispatcher.batches[0]?.[0]?.id, 'café 1');
    assert.equal(dispatcher.batches[0]?.[0]?.shop, '7');
    assert.equal(response.headers.get('ce-id'), 'reply%20to%20caf%C3%A9%201');
    assert.equal(response.headers.get('ce-requestid'), 'caf%C3%A9%201');
    assert.equal(response.headers.get('ce-type'), 'PingResponse');
    assert.deepEqual(await response.json(), { sentAt: 1, receivedAt: 2 });
    assert.deepEqual(
      INTERNAL_ATTRIBUTES.filter((name) => response.headers.has(`ce-${name}`)),
      [],
    );
  });

  it('ignores internal attributes of a client, malformed ones too, and shows none in the answer', async () => {
    const forged = Object.fromEntries(INTERNAL_ATTRIBUTES.map((name) => [name, { forged: true }]));
    const response = await post({ ...ping, ...forged, mine: 'kept' }, { 'content-type': EVENT_CONTENT_TYPE });
    const reply = (await response.json()) as CloudEvent;
    assert.deepEqual(
      INTERNAL_ATTRIBUTES.filter((name) => name in reply),
      [],
    );
    const [sent] = dispatcher.batches[0] ?? [];
    assert.equal(sent?.mine, 'kept');
    assert.equal(JSON.stringify(sent).includes('forged'), false);
    assert.equal(Buffer.from(String(sent?.correlationid), 'base64url').length, 16);
  });

  it('answers a batch in order, each event with its own outcome', async () => {
    dispatcher.onBatch = async (events, response) => {
      const [first, second, third] = events as [CloudEvent, CloudEvent, CloudEvent];
      answer(response, { unroutable: [second.correlationid] });
      await deliver([third, first].map((event) => pong(event)));
    };
    const answers = await postBatch([
      { ...ping, id: 'a' },
      { ...ping, id: 'b' },
      { ...ping, id: 'bad', time: 'yesterday' },
      { ...ping, id: 'c' },
    ]);
    const problems = answers.map(({ type, data }) => (type === PROBLEM_TYPE ? (data as Problem) : undefined));
    assert.deepEqual(
      problems.map((problem) => problem?.code),
      [undefined, 'unroutable', 'invalid-request', undefined],
    );
    assert.equal(problems[1]?.event_id, 'b');
    assert.match(String(problems[2]?.detail), /^time /);
    assert.deepEqual([answers[0]?.id, answers[3]?.id], ['reply to a', 'reply to c']);
    // What was no event has no name.
    assert.deepEqual(
      answers.map(({ requestid }) => requestid),
      ['a', 'b', undefined, 'c'],
    );
  });

  it('answers an empty batch with an empty batch, and sends nothing', async () => {
    assert.deepEqual(await postBatch([]), []);
    assert.equal(dispatcher.batches.length, 0);
  });

  it('takes 256 events in one batch and refuses 257', async () => {
    const events = Array.from({ length: 257 }, (_, index) => ({ ...ping, id: `e${index}` }));
    const replies = await postBatch(events.slice(1));
    assert.deepEqual(
      replies.map(({ id }) => id),
      events.slice(1).map(({ id }) => `reply to ${id}`),
    );
    const response = await post(events, { 'content-type': BATCH_CONTENT_TYPE });
    await problemOf(response, 413, 'too-large');
  });
});

describe('types a client may send', () => {
  const outcomes = {
    PingRequest: 200,
    'shop.order': 200,
    'waybill.Problem': 404,
    'waybill.': 404,
    NewClientRequest: 404,
  };
  for (const [type, status] of Object.entries(outcomes)) {
    it(`answers ${type} ${status}, whatever PUBLIC_EVENT_TYPES says`, async () => {
      const response = await post({ type });
      assert.equal(response.status, status);
      assert.equal(dispatcher.batches.length, status === 200 ? 1 : 0);
    });
  }
});

it('an event whose client went while its body was read is given up before it is sent', async () => {
  const raw = Object.assign(new EventEmitter(), { destroyed: true });
  const request = { headers: {} } as unknown as FastifyRequest;
  const reply = { raw, request, headers: () => reply, send: () => reply };
  let isGivenUp = false;
  const handle = createPing({
    held: createHeldReplies(),
    deadlineMs: 1_000,
    async answerEvent(event, { client }) {
      client.onGone(() => {
        isGivenUp = true;
      });
      assert.equal(isGivenUp, true);
      return { id: event.id, reply: event };
    },
  });
  await handle(request, reply as unknown as FastifyReply);
  assert.equal(isGivenUp, true);
});

describe('what becomes of a request', () => {
  it('is parked before it is sent: a reply that comes before the answer of intake is its answer', async () => {
    let isAnswered = false;
    dispatcher.onBatch = async (events, response) => {
      const unknown = await deliver(events.map((event) => pong(event)));
      assert.deepEqual(unknown, []);
      isAnswered = true;
      answer(response, { unknown: ids(events) });
    };
    const response = await post(ping);
    assert.equal(response.status, 200);
    assert.equal(isAnswered, true);
  });

  it('is answered once: a second reply is reported unknown', async () => {
    dispatcher.onBatch = confirmAll;
    const response = post(ping);
    const [event] = (await dispatcher.batch(0)) as [CloudEvent];
    assert.deepEqual(await deliver([pong(event)]), []);
    assert.deepEqual(await deliver([pong(event, { data: 'late' })]), [event.correlationid]);
    assert.deepEqual(((await (await response).json()) as CloudEvent).data, { sentAt: 1, receivedAt: 2 });
  });

  const outcomes: { name: string; onBatch: OnBatch; status: number; code: string }[] = [
    {
      name: 'the broker returned',
      onBatch: (events, response) => answer(response, { unroutable: ids(events) }),
      status: 404,
      code: 'unroutable',
    },
    {
      name: 'the dispatcher rejected as malformed',
      onBatch: (events, response) =>
        answer(response, {
          rejected: ids(events).map((id) => ({ id, problem: problemFor('invalid-request', 'no') })),
        }),
      status: 400,
      code: 'invalid-request',
    },
    {
      name: 'the dispatcher rejected for a reason this version does not know',
      onBatch: (events, response) =>
        answer(response, {
          rejected: ids(events).map((id) => ({ id, problem: { code: 'new', title: 'New' } })),
        }),
      status: 503,
      code: 'not-accepted',
    },
  ];
  for (const { name, onBatch, status, code } of outcomes) {
    it(`answers ${status} ${code} for an event that ${name}`, async () => {
      dispatcher.onBatch = onBatch;
      const response = await post(ping, { 'content-type': EVENT_CONTENT_TYPE });
      const problem = await problemOf(response, status, code);
      assert.equal(problem.event_id, 'e1');
      assert.equal(response.headers.get('retry-after'), status === 503 ? '1' : null);
    });
  }

  it('answers 204 for an event whose handler has nothing to say, and in a batch with an event that says so', async () => {
    dispatcher.onBatch = async (events, response) => {
      answer(response);
      await deliver(events.map((event) => pong(event, { type: NO_CONTENT_TYPE, data: undefined })));
    };
    const { data, ...attributes } = ping;
    const binary = Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [`ce-${name}`, String(value)]),
    );
    for (const response of [
      await post(ping, { 'content-type': EVENT_CONTENT_TYPE }),
      await post({ id: 'e1', type: ping.type }, { 'content-type': 'application/json' }),
      await post(data, { 'content-type': 'application/json', ...binary }),
    ]) {
      assert.equal(response.status, 204);
      assert.equal(response.headers.get('content-type'), null);
      assert.equal(await response.text(), '');
    }
    const batch = await post([ping, { ...ping, id: 'e2' }], { 'content-type': BATCH_CONTENT_TYPE });
    assert.equal(batch.status, 200);
    const replies = (await batch.json()) as CloudEvent[];
    assert.deepEqual(
      replies.map(({ type }) => type),
      [NO_CONTENT_TYPE, NO_CONTENT_TYPE],
    );
  });

  it("answers 502 with the listener's code and the id of the event when the listener failed", async () => {
    const failures = [
      problemFor('handler-failed', 'it broke', { error_code: 'bad-luck' }),
      'no problem at all',
    ];
    for (const data of failures) {
      dispatcher.onBatch = async (events, response) => {
        answer(response);
        await deliver(events.map((event) => pong(event, { type: PROBLEM_TYPE, data })));
      };
      const problem = await problemOf(await post({ ...ping }), 502, 'handler-failed');
      assert.equal(problem.event_id, 'e1');
      assert.equal(problem.error_code, typeof data === 'string' ? undefined : 'bad-luck');
    }
  });

  it('lets a listener choose the status of its problem, but none that invites to send the event again', async () => {
    for (const [given, status] of [
      [404, 404],
      [422, 422],
      [408, 502],
      [421, 502],
      [425, 502],
      [429, 502],
      [503, 502],
      [504, 502],
      [200, 502],
    ]) {
      const data = { status: given, code: 'not-accepted', title: 'Theirs', event_id: 'of-another' };
      dispatcher.onBatch = async (events, response) => {
        answer(response);
        await deliver(events.map((event) => pong(event, { type: PROBLEM_TYPE, data })));
      };
      const response = await post({ ...ping });
      assert.equal(response.headers.get('retry-after'), null);
      const problem = await problemOf(response, Number(status), 'handler-failed');
      assert.equal(problem.title, 'Theirs');
      assert.equal(problem.event_id, 'e1');
    }
  });

  it("lets a listener choose the type of its problem, but none of Waybill's own", async () => {
    const { type: ours, title: ourTitle } = problemFor('handler-failed');
    const other = problemFor('not-accepted').type;
    for (const [given, type, title] of [
      ['https://example.com/out-of-stock', 'https://example.com/out-of-stock', 'Theirs'],
      [other, ours, ourTitle],
      [other.toUpperCase(), ours, ourTitle],
      [{}, ours, ourTitle],
      [undefined, ours, 'Theirs'],
    ]) {
      dispatcher.onBatch = async (events, response) => {
        answer(response);
        const data = { status: 422, type: given, title: 'Theirs' };
        await deliver(events.map((event) => pong(event, { type: PROBLEM_TYPE, data })));
      };
      const problem = await problemOf(await post({ ...ping }), 422, 'handler-failed');
      assert.deepEqual([problem.type, problem.title], [type, title]);
    }
  });

  it('answers 504 when no reply comes by the deadline that Prefer: wait shortens', async () => {
    dispatcher.onBatch = confirmAll;
    const startedMs = performance.now();
    const response = await post(ping, { prefer: 'handling=lenient, wait=1' });
    const waitedMs = performance.now() - startedMs;
    await problemOf(response, 504, 'outcome-unknown');
    // Far from the default of 30 s; timers may be a millisecond early.
    assert.ok(waitedMs >= 990 && waitedMs < 15_000, `${waitedMs} ms`);
    assert.equal(response.headers.get('preference-applied'), 'wait=1');
    const [event] = (await dispatcher.batch(0)) as [CloudEvent];
    const timeLeftMs = Date.parse(String(event.expirytime)) - Date.now();
    assert.ok(timeLeftMs <= 1 && timeLeftMs > -15_000, `expired ${-timeLeftMs} ms ago`);
    assert.deepEqual(await deliver([pong(event)]), [event.correlationid], 'nothing stays parked');
  });
});
