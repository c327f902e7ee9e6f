import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeBatch, encodeEvent } from '@waybill/common/event/event-json.ts';
import { callbackAddress } from '@waybill/common/internal-call/callback-address.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import {
  createReplyAddresses,
  createReplyAddressVerifier,
} from '@waybill/common/internal-call/reply-address.ts';
import { pino } from 'pino';
import { keys, pong } from '../public-web.fixture.ts';
import { createInbox } from './inbox.ts';
import { createParkedRequests } from './parked-requests.ts';
import { createPostReplies } from './post-replies.ts';

const address = createReplyAddresses({
  address: callbackAddress('http://127.0.0.1/dispatch', 'this'),
  keys: keys.replyAddress,
  maxDeadlineMs: 60_000,
});
const replyAddresses = createReplyAddressVerifier({ keys: keys.replyAddress });
const event = { specversion: '1.0' as const, id: 'e1', source: '/test', type: 'PingRequest' };

it('while clients are slow to read what has come, replies are put off and those they answer stay parked', async () => {
  const held = { isFull: true, hasRoom: () => !held.isFull };
  const inbox = createInbox();
  const lines: string[] = [];
  const parked = createParkedRequests({ inbox, maxParked: 10 });
  const app = createInternalApp({
    log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }),
    keys: keys.call,
    clock: createClockCheck(),
    routes: {
      '/dispatch': createPostReplies({
        inbox,
        held,
        replyAddresses,
        instance: 'this',
      }),
    },
  });
  const { correlationId, reply } = parked.park(60_000, 1);
  const payload = JSON.stringify([
    pong({ ...event, correlationid: correlationId, replyto: address.current() }),
  ]);
  const deliver = () =>
    app.inject({
      method: 'POST',
      url: '/dispatch',
      headers: {
        'content-type': 'application/cloudevents-batch+json',
        ...signRequest({ method: 'POST', path: '/dispatch', body: payload, keys: keys.call }),
      },
      payload,
    });
  const putOff = await deliver();
  assert.deepEqual([putOff.statusCode, putOff.json().code, parked.size()], [503, 'not-accepted', 1]);
  held.isFull = false;
  assert.equal((await deliver()).statusCode, 200);
  assert.equal((await reply).id, 'reply to e1');

  // Delivered again nobody waits for it, which is no line of log.
  lines.length = 0;
  assert.deepEqual((await deliver()).json(), { unknown: [correlationId] });
  assert.deepEqual(lines, []);
});

for (const [what, data] of Object.entries<unknown>({
  'a text': 'x'.repeat(100_000),
  'a list': Array.from({ length: 10_000 }, (_, index) => `text ${index}`),
  'an object': { deep: Array.from({ length: 5_000 }, (_, index) => ({ name: `name ${index}` })) },
}))
  it(`a reply that is large by ${what} is counted at about its size, and its neighbours in the batch at theirs`, async () => {
    const taken: [id: string, bytes: number][] = [];
    const handle = createPostReplies({
      inbox: { deliver: ({ id }, bytes = 0) => taken.push([id, bytes]) > 0, note: () => {} },
      held: { hasRoom: () => true },
      replyAddresses,
      instance: 'this',
    });
    const replies = [data, 'small'].map(
      (each, index): CloudEvent => ({ ...event, id: `${index}`, replyto: address.current(), data: each }),
    );
    const encoded = replies.map(encodeEvent);
    const contentType = 'application/cloudevents-batch+json';

    await handle({ contentType, body: encodeBatch(encoded), log: pino({ level: 'silent' }) } as never);

    assert.deepEqual(
      taken.map(([id]) => id),
      ['0', '1'],
    );
    for (const [index, { bytes }] of encoded.entries()) {
      const counted = taken[index]?.[1] as number;
      assert.ok(counted > 0.5 * bytes && counted < 1.5 * bytes, `${counted} of ${bytes}`);
    }
  });
