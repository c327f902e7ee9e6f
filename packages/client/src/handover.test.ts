import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createHandover, type Entry } from './handover.ts';
import type { Link } from './link.ts';

const entry = (token: string): Entry => ({ id: `event ${token}`, type: 'Done', data: {}, token });
const wanted = () => false;

function createLink() {
  const acknowledged: string[] = [];
  const link: Link = {
    via: 'websocket',
    send() {},
    acknowledge: (token) => void acknowledged.push(token),
    ended: new Promise(() => {}),
    async close() {},
  };
  return { link, acknowledged };
}

/** What was handed over; each is done with when the test says so. */
function createHeld(after?: string) {
  const begun: string[] = [];
  const done: (() => void)[] = [];
  const handover = createHandover({
    after,
    onEvent({ token }) {
      begun.push(token);
      return new Promise<void>((resolve) => done.push(resolve));
    },
    onFailed: (error) => assert.fail(String(error)),
  });
  return {
    handover,
    begun,
    async finish() {
      done.shift()?.();
      await new Promise(setImmediate);
    },
  };
}

describe('what comes from a mailbox', () => {
  it('is handed over one by one, and acknowledged up to what is done with', async () => {
    const { handover, begun, finish } = createHeld();
    const { link, acknowledged } = createLink();
    handover.opened(link);
    for (const token of ['e.1', 'e.2', 'e.3']) handover.take(entry(token), () => token === 'e.2');
    assert.deepEqual(begun, ['e.1']);
    await finish();
    assert.deepEqual(begun, ['e.1', 'e.3']);
    assert.equal(handover.token(), 'e.2');
    const settled = handover.settled();
    await finish();
    await settled;
    assert.equal(acknowledged.at(-1), 'e.3');
  });

  it('is acknowledged at once when 32 are done with', async () => {
    const handover = createHandover({ after: undefined, onEvent() {}, onFailed() {} });
    const { link, acknowledged } = createLink();
    handover.opened(link);
    for (let offset = 1; offset <= 40; offset += 1) handover.take(entry(`e.${offset}`), wanted);
    await new Promise(setImmediate);
    // The rest may have followed on a busy machine.
    assert.equal(acknowledged[0], 'e.32');
    handover.stop();
  });

  it('is not begun again, nor acknowledged before it came over this link, when it comes again over the next one', async () => {
    const { handover, begun, finish } = createHeld();
    const first = createLink();
    handover.opened(first.link);
    for (const token of ['e.1', 'e.2', 'e.3']) handover.take(entry(token), wanted);
    handover.lost();
    const second = createLink();
    handover.opened(second.link);
    assert.equal(handover.token(), undefined);
    await finish();
    assert.deepEqual(begun, ['e.1']);
    await handover.settled();
    assert.deepEqual(second.acknowledged, []);
    for (const token of ['e.1', 'e.2', 'e.3']) handover.take(entry(token), wanted);
    await finish();
    await finish();
    await handover.settled();
    assert.deepEqual(begun, ['e.1', 'e.2', 'e.3']);
    assert.deepEqual([first.acknowledged, second.acknowledged.at(-1)], [[], 'e.3']);
  });

  it('is handed over once when the same link goes on behind what is done with', async () => {
    const { handover, begun, finish } = createHeld();
    handover.opened(createLink().link);
    for (const token of ['e.1', 'e.2', 'e.3']) handover.take(entry(token), wanted);
    await finish();
    assert.equal(handover.resume(), 'e.1');
    for (const token of ['e.2', 'e.3']) handover.take(entry(token), wanted);
    for (let each = 0; each < 3; each += 1) await finish();
    assert.deepEqual(begun, ['e.1', 'e.2', 'e.3']);
    assert.equal(handover.token(), 'e.3');
  });

  it('is settled for everybody who waits for that', async () => {
    const { handover, finish } = createHeld();
    handover.take(entry('e.1'), wanted);
    const settled = Promise.all([handover.settled(), handover.settled()]);
    await finish();
    assert.equal((await settled).length, 2);
  });

  it('is another one under the same token where the store has gone back', async () => {
    const { handover, begun, finish } = createHeld();
    handover.opened(createLink().link);
    handover.take(entry('e.1'), wanted);
    await finish();
    handover.lost();
    handover.opened(createLink().link);
    handover.take({ ...entry('e.1'), id: 'another' }, wanted);
    assert.deepEqual(begun, ['e.1', 'e.1']);
  });

  it('is handed over no more when one has failed', async () => {
    const begun: string[] = [];
    let failure: unknown;
    const handover = createHandover({
      after: 'e.0',
      onEvent({ token }) {
        begun.push(token);
        throw new Error('no');
      },
      onFailed(error) {
        failure = error;
      },
    });
    for (const token of ['e.1', 'e.2']) handover.take(entry(token), wanted);
    await handover.settled();
    assert.deepEqual(begun, ['e.1']);
    assert.equal((failure as Error).message, 'no');
    assert.equal(handover.token(), 'e.0');
  });
});
