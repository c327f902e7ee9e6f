import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { beforeEach, describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { callbackAddress } from '@waybill/common/internal-call/callback-address.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys, type Key } from '@waybill/common/internal-call/internal-keys.ts';
import { createReplyAddresses } from '@waybill/common/internal-call/reply-address.ts';
import { confirmAll, deliver, keys, pong, postReplies, usePublicWeb } from '../public-web.fixture.ts';

const { dispatcher, publicWeb } = await usePublicWeb({ onBatch: confirmAll });
const dispatchUrl = `http://127.0.0.1:${publicWeb.internalPort}/dispatch`;

/** A request that waits, the reply it waits for, and its answer. */
let answered: Promise<Response>;
let reply: CloudEvent;

beforeEach(async () => {
  answered = fetch(`${publicWeb.baseUrl}/ping`);
  const [event] = (await dispatcher.batch(0)) as [CloudEvent];
  reply = pong(event);
});

/** The request is still waiting, and gets its reply when it comes in the right way. */
async function assertStillWaiting(): Promise<void> {
  assert.deepEqual(await deliver([reply]), []);
  assert.equal((await answered).status, 200);
}

function addressFor(instance: string, replyKeys: Key[] = keys.replyAddress): string {
  return createReplyAddresses({
    address: callbackAddress(dispatchUrl, instance),
    keys: replyKeys,
    maxDeadlineMs: 1_000,
  }).current();
}

describe('POST /dispatch', () => {
  it('is refused with 401 unless it is signed, lately, with a shared secret, for this very body and path', async () => {
    const body = JSON.stringify([reply]);
    const call = { method: 'POST', path: '/dispatch', body };
    const others = deriveInternalKeys(['the-secret-of-some-other-system-!']);
    const refused: Record<string, Record<string, string>> = {
      unsigned: {},
      stale: signRequest({ ...call, keys: keys.call, nowMs: Date.now() - 120_000 }),
      'from the future': signRequest({ ...call, keys: keys.call, nowMs: Date.now() + 120_000 }),
      'of another secret': signRequest({ ...call, keys: others.call }),
      'of another purpose': signRequest({ ...call, keys: keys.replyAddress }),
      'of another path': signRequest({ ...call, path: '/events', keys: keys.call }),
      'of another body': signRequest({ ...call, body: `${body} `, keys: keys.call }),
    };
    for (const [name, headers] of Object.entries(refused)) {
      const response = await postReplies([reply], headers);
      assert.equal(response.status, 401, name);
      assert.equal(((await response.json()) as { code: string }).code, 'unauthorized', name);
    }
    await assertStillWaiting();
  });

  it('is refused with 410 for another instance, and settles nothing', async () => {
    const response = await postReplies([reply, { ...reply, replyto: addressFor(randomUUID()) }], undefined);
    // The address is read from the first, which is this instance's own.
    assert.equal(response.status, 410);
    await assertStillWaiting();
  });

  it('is refused with 410 for a batch of which one reply is for another instance, wherever it stands', async () => {
    const other = { ...reply, replyto: addressFor('another') };
    for (const batch of [
      [other, reply, reply],
      [reply, reply, other],
      [reply, other, reply],
    ])
      assert.equal((await postReplies(batch)).status, 410);
    await assertStillWaiting();
  });

  it('is refused with 401 when a reply brings no address of this system', async () => {
    const others = deriveInternalKeys(['the-secret-of-some-other-system-!']);
    for (const replyto of [
      addressFor('x', others.replyAddress),
      addressFor('x', keys.call),
      'http://127.0.0.1/',
    ]) {
      const response = await postReplies([reply, { ...reply, replyto }]);
      assert.equal(response.status, 401);
    }
    await assertStillWaiting();
  });

  it('settles every reply of a batch it knows and names the others', async () => {
    const second = fetch(`${publicWeb.baseUrl}/ping`);
    const [event] = (await dispatcher.batch(1)) as [CloudEvent];
    const stranger = { ...reply, correlationid: 'of-nobody' };
    const nameless = { ...reply, correlationid: undefined };
    assert.deepEqual(await deliver([stranger, reply, nameless, pong(event)]), ['of-nobody', null]);
    assert.deepEqual([(await answered).status, (await second).status], [200, 200]);
  });

  it('takes progress, which settles nothing, and is told to a client that waits in vain', async () => {
    const inVain = fetch(`${publicWeb.baseUrl}/ping`, { headers: { prefer: 'wait=1' } });
    const [event] = (await dispatcher.batch(1)) as [CloudEvent];
    const progress = (data: unknown, { correlationid }: CloudEvent) => ({
      ...pong(event),
      type: 'waybill.Progress',
      correlationid,
      handledby: 'orders/1',
      data,
    });
    const second = { attempt: 2, maxAttempts: 5, code: 'card-declined' };
    const told = [progress({ attempt: 1 }, event), progress(second, event), progress(second, reply)];
    const ofNobody = progress(second, { ...event, correlationid: 'of-nobody' });
    assert.deepEqual(await deliver([...told, ofNobody]), []);
    await assertStillWaiting();
    const response = await inVain;
    assert.equal(response.status, 504);
    assert.equal(
      ((await response.json()) as { detail: string }).detail,
      'no reply within 1000 ms; attempt 2 of 5 by orders failed with card-declined',
    );
  });

  it('is refused with 4xx when signed but malformed, and settles nothing', async () => {
    const bodies = [
      '',
      '{}',
      '[1]',
      '[{"specversion":"1.0"}]',
      `[${JSON.stringify(reply)},{}]`,
      '['.repeat(90),
    ];
    for (const body of bodies) {
      const signature = signRequest({ method: 'POST', path: '/dispatch', body, keys: keys.call });
      const headers = { 'content-type': 'application/cloudevents-batch+json', ...signature };
      const response = await fetch(dispatchUrl, { method: 'POST', headers, body });
      assert.equal(response.status, 400, body);
    }
    await assertStillWaiting();
  });

  it('exists on the internal port only', async () => {
    const response = await fetch(`${publicWeb.baseUrl}/dispatch`, { method: 'POST', body: '[]' });
    assert.equal(response.status, 404);
    const health = await fetch(new URL('/ping', dispatchUrl));
    assert.equal(health.status, 404);
    await assertStillWaiting();
  });
});
