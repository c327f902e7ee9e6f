import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Destination, PublishOutcome } from './ports.ts';
import { createPublishObserved } from './publish-observed.ts';

const message = { contentType: 'text/plain', body: Buffer.from('hello') };

function start(
  publish: (to: Destination) => PublishOutcome | Promise<PublishOutcome>,
  isAvailable: () => boolean = () => true,
) {
  const lines: string[] = [];
  const note = (_fields: unknown, text?: unknown) => void lines.push(String(text));
  const published: Destination[] = [];
  const publishObserved = createPublishObserved({
    publisher: {
      async publish({ to }) {
        published.push(to);
        return await publish(to);
      },
      isAvailable,
    },
    log: { info: note, warn: note },
  });
  return { publishObserved, published, lines };
}

it('publishes a copy of each message of a type that is observed', async () => {
  const { publishObserved, published } = start(() => 'confirmed');
  await publishObserved('Seen', message);
  await publishObserved('Seen', message);
  assert.deepEqual(published, [{ observed: 'Seen' }, { observed: 'Seen' }]);
});

it('publishes no copies of a type that nobody observes, but for one every 2 s', async (t) => {
  const clock = t.mock.method(performance, 'now', () => 1);
  const { publishObserved, published } = start(() => 'unroutable');
  await publishObserved('Unseen', message);
  await publishObserved('Unseen', message);
  assert.equal(published.length, 1);
  clock.mock.mockImplementation(() => 2_002);
  await publishObserved('Unseen', message);
  assert.equal(published.length, 2);
});

it('says once that the copies of a type are not taken, and once that they are again', async () => {
  let outcome: PublishOutcome = 'unknown';
  const { publishObserved, lines } = start(() => outcome);
  await publishObserved('Seen', message);
  await publishObserved('Seen', message);
  assert.deepEqual(lines, ['observers may miss events: the broker does not take the copies']);
  outcome = 'confirmed';
  await publishObserved('Seen', message);
  await publishObserved('Seen', message);
  assert.deepEqual(lines.slice(1), ['observers get copies again']);
});

it('leaves most of what a publisher takes to the events themselves, when copies are not confirmed', async () => {
  const { publishObserved, published, lines } = start(() => new Promise(() => {}));
  for (let i = 0; i < 600; i += 1) void publishObserved('Hanging', message);
  assert.equal(published.length, 512);
  await new Promise(setImmediate);
  assert.equal(lines.length, 1);
});

describe('while there is no connection that takes anything, a copy', () => {
  /** There is one from the third try on. */
  function startAway(refused: PublishOutcome = 'not-accepted') {
    let tries = 0;
    const isAvailable = () => tries > 2;
    return start(() => (++tries > 2 ? 'confirmed' : refused), isAvailable);
  }

  it('is kept by who holds its event', async () => {
    const { publishObserved, published, lines } = startAway();
    await publishObserved('Seen', message, new AbortController().signal);
    assert.equal(published.length, 3);
    assert.deepEqual(lines, []);
  });

  it('is lost where nobody holds its event, or no longer does', async () => {
    for (const whileHeld of [undefined, AbortSignal.abort()]) {
      const { publishObserved, published, lines } = startAway();
      await publishObserved('Seen', message, whileHeld);
      assert.deepEqual([published.length, lines.length], [1, 1]);
    }
  });

  it('that may have been written is not written again', async () => {
    const { publishObserved, published } = startAway('unknown');
    await publishObserved('Seen', message, new AbortController().signal);
    assert.equal(published.length, 1);
  });
});

it('tries no copy again that is refused although there is a connection', async () => {
  const { publishObserved, published, lines } = start(() => 'not-accepted');
  await publishObserved('Forbidden', message, new AbortController().signal);
  assert.deepEqual([published.length, lines.length], [1, 1]);
});
