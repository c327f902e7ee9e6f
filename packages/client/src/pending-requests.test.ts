import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Link, Message, Outgoing } from './link.ts';
import { createPendingRequests } from './pending-requests.ts';
import type { RequestFailed } from './request-failed.ts';

/** A link that keeps what is sent; its mailbox is what a test says. */
function createLink(via: Link['via'] = 'websocket') {
  const sent: Outgoing[] = [];
  const link: Link = {
    via,
    send: (outgoing) => void sent.push(outgoing),
    acknowledge() {},
    ended: new Promise(() => {}),
    async close() {},
  };
  return {
    link,
    sent,
    ids: () => sent.map(({ event }) => event.id),
    lastId: () => sent.at(-1)?.event.id ?? '',
  };
}

const times = { timeoutMs: 10_000 };
const eventOf = (id: string, data?: unknown) => ({ id, data });
let offset = 0;
const answerTo = (requestid: string | undefined, data: unknown = 'done'): Message => {
  offset += 1;
  return { id: `reply ${offset}`, type: 'Done', data, requestid, token: `e.${offset}` };
};
const problemTo = (requestid: string | undefined, code: string, status: number): Message => ({
  id: 'p',
  type: 'waybill.Problem',
  data: { code, status, title: code },
  ...(requestid !== undefined && { requestid }),
});
const failed = (asked: Promise<unknown>) =>
  asked.then(
    () => assert.fail('it was answered'),
    (error: RequestFailed) => [error.problem.code, error.hasNotRun],
  );

describe('the requests of a connection', () => {
  const make = () => createPendingRequests({ source: '/test' });

  it('wait for a link, and have no more than 128 without an answer', async () => {
    const requests = make();
    const asked = Array.from({ length: 200 }, (_, index) => requests.add(eventOf(`${index}`), times));
    const { link, sent, ids } = createLink();
    requests.opened(link);
    assert.equal(sent.length, 128);
    for (let index = 0; index < 200; index += 1) assert.equal(requests.settle(answerTo(`${index}`)), true);
    assert.equal((await Promise.all(asked)).length, 200);
    assert.deepEqual(
      ids(),
      Array.from({ length: 200 }, (_, index) => `${index}`),
    );
    await requests.settled();
  });

  it('are sent again, before all others, when the answer to a probe shows that they were not taken', async () => {
    const requests = make();
    const first = createLink();
    requests.opened(first.link);
    const asked = ['a', 'b', 'c'].map((id) => requests.add(eventOf(id), times));
    requests.lost(false);
    asked.push(requests.add(eventOf('d'), times));
    const second = createLink();
    requests.opened(second.link);
    assert.equal(second.sent.length, 1);
    const probe = second.lastId();
    // It was taken, and comes before.
    requests.settle(answerTo('a'));
    assert.equal(requests.settle(answerTo(probe)), true);
    assert.deepEqual(second.ids(), [probe, 'b', 'c', 'd']);
    for (const id of ['b', 'c', 'd']) requests.settle(answerTo(id));
    assert.equal((await Promise.all(asked)).length, 4);
  });

  it('are probed for over each new link, and an old answer to a probe says nothing', async () => {
    const requests = make();
    const first = createLink();
    requests.opened(first.link);
    const asked = requests.add(eventOf('a'), times);
    requests.lost(false);
    const second = createLink();
    requests.opened(second.link);
    requests.lost(false);
    const third = createLink();
    requests.opened(third.link);
    assert.equal(requests.settle(answerTo(second.lastId())), true);
    assert.equal(third.sent.length, 1);
    requests.settle(answerTo(third.lastId()));
    assert.equal(third.lastId(), 'a');
    requests.settle(answerTo('a'));
    await asked;
  });

  it('may have run when some answer was lost, and then say so', async () => {
    const requests = make();
    const first = createLink();
    requests.opened(first.link);
    const asked = failed(requests.add(eventOf('a'), times));
    requests.lost(false);
    const second = createLink();
    requests.opened(second.link);
    assert.equal(requests.settle({ ...problemTo(undefined, 'outcome-unknown', 504), token: 'e.1' }), false);
    requests.settle(answerTo(second.lastId()));
    requests.settle({ ...problemTo('a', 'unroutable', 404), token: 'e.2' });
    assert.deepEqual(await asked, ['outcome-unknown', false]);
  });

  it('fail by what public-web could not read, and the others are answered', async () => {
    const requests = make();
    const { link, lastId } = createLink();
    requests.opened(link);
    const [good, bad] = ['good', 'bad'].map((id) => requests.add(eventOf(id), times));
    requests.settle(problemTo(undefined, 'invalid-request', 400));
    const probe = lastId();
    requests.settle(answerTo('good'));
    requests.settle(answerTo(probe));
    assert.equal((await good)?.data, 'done');
    assert.deepEqual(await failed(bad as Promise<unknown>), ['invalid-request', true]);
  });

  it('fail alone when they were too large, which is the largest', async () => {
    const requests = make();
    requests.opened(createLink().link);
    const small = requests.add(eventOf('small'), times);
    const large = failed(requests.add(eventOf('large', 'x'.repeat(1000)), times));
    requests.lost(true);
    assert.deepEqual(await large, ['too-large', true]);
    const { link, lastId } = createLink();
    requests.opened(link);
    requests.settle(answerTo(lastId()));
    assert.equal(lastId(), 'small');
    requests.settle(answerTo('small'));
    await small;
  });

  it('are sent again at once where nothing probes, unless they are known to be taken, and answered once', async () => {
    const requests = make();
    const first = createLink('event-stream');
    requests.opened(first.link);
    const asked = ['taken', 'broken'].map((id) => requests.add(eventOf(id), times));
    first.sent[0]?.onTaken();
    requests.lost(false);
    const second = createLink('event-stream');
    requests.opened(second.link);
    assert.deepEqual(second.ids(), ['broken']);
    for (const id of ['taken', 'broken']) requests.settle(answerTo(id));
    await Promise.all(asked);
    assert.equal(requests.settle(answerTo('broken')), true);
  });

  it('are settled for everybody who waits for that', async () => {
    const requests = make();
    requests.opened(createLink().link);
    const asked = requests.add(eventOf('a'), times);
    const settled = Promise.all([requests.settled(), requests.settled()]);
    requests.settle(answerTo('a'));
    await asked;
    assert.equal((await settled).length, 2);
  });

  it('leave to others what nobody waits for', async () => {
    const requests = make();
    requests.opened(createLink().link);
    const stop = new AbortController();
    const asked = requests.add(eventOf('a'), { ...times, signal: stop.signal });
    stop.abort(new Error('enough'));
    await assert.rejects(asked, { message: 'enough' });
    assert.equal(requests.settle(answerTo('a')), false);
    assert.equal(requests.settle(answerTo(undefined)), false);
  });

  it('fail at once when they are none in JSON, and leave nothing behind', async () => {
    const requests = make();
    requests.opened(createLink().link);
    const circle: { self?: object } = {};
    circle.self = circle;
    await assert.rejects(requests.add(eventOf('a', circle), times), TypeError);
    await requests.settled();
  });

  it('are refused once there are 10,000 of them, and once it is over', async () => {
    const requests = make();
    const asked = Array.from({ length: 10_000 }, (_, index) =>
      requests.add(eventOf(`${index}`), times).catch(() => {}),
    );
    assert.deepEqual(await failed(requests.add(eventOf('more'), times)), ['not-accepted', true]);
    requests.fail(new Error('over'));
    await Promise.all(asked);
    assert.deepEqual(await failed(requests.add(eventOf('later'), times)), ['not-accepted', true]);
  });
});
