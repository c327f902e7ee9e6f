import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Destination, PublishOutcome } from './ports.ts';
import { createPublishObserved } from './publish-observed.ts';

const message = { contentType: 'text/plain', body: Buffer.from('hello') };

function start(publish: (to: Destination) => PublishOutcome | Promise<PublishOutcome>) {
  const lines: string[] = [];
  const note = (_fields: unknown, text?: unknown) => void lines.push(String(text));
  const published: Destination[] = [];
  const publishObserved = createPublishObserved({
    publisher: {
      async publish({ to }) {
        published.push(to);
        return await publish(to);
      },
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
