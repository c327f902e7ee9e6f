import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { createParkedRequests, type ParkedRequest } from './parked-requests.ts';

let inbox: Inbox;

/** The reply to what waits under `correlationid`. */
const replyTo = (correlationid: string): CloudEvent => ({
  specversion: '1.0',
  id: 'r',
  source: '/test',
  type: 'PingResponse',
  correlationid,
});

function assertFails(request: ParkedRequest, code: string): Promise<void> {
  return assert.rejects(request.reply, (error: AppError) => error.code === code);
}

describe('a parked request', () => {
  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] });
    inbox = createInbox();
  });
  afterEach(() => mock.timers.reset());

  it('is answered by the first reply under its correlation id, and by no second', async () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const request = parked.park(1_000, 100);
    const reply = replyTo(request.correlationId);
    assert.equal(inbox.deliver(reply), true);
    assert.equal(await request.reply, reply);
    assert.equal(inbox.deliver(reply), false);
    assert.equal(inbox.deliver(replyTo('nobody')), false);
    assert.equal(parked.size(), 0);
  });

  it('is told 504 at its deadline and not before, when its event was sent', async () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const request = parked.park(1_000, 100);
    assert.equal(request.startSending(), true);
    mock.timers.tick(999);
    assert.equal(parked.size(), 1);
    mock.timers.tick(1);
    assert.equal(parked.size(), 0);
    await assertFails(request, 'outcome-unknown');
  });

  it('is told 503 at its deadline when its event was not sent, and the event is not sent any more', async () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const request = parked.park(1_000, 100);
    mock.timers.tick(1_000);
    await assertFails(request, 'not-accepted');
    assert.equal(request.startSending(), false);
  });

  it('fails once: neither its deadline nor a reply changes what it was told', async () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const request = parked.park(1_000, 100);
    request.fail(Object.assign(new Error('first'), { code: 'unroutable' }) as AppError);
    request.fail(Object.assign(new Error('second'), { code: 'unexpected' }) as AppError);
    mock.timers.tick(1_000);
    assert.equal(inbox.deliver(replyTo(request.correlationId)), false);
    await assertFails(request, 'unroutable');
  });

  it('is refused with 503 while as many wait as may, and taken when one has left', () => {
    const parked = createParkedRequests({ inbox, maxParked: 2 });
    const first = parked.park(1_000, 100);
    parked.park(1_000, 100);
    assert.throws(() => parked.park(1_000, 100), { code: 'not-accepted' });
    inbox.deliver(replyTo(first.correlationId));
    assert.doesNotThrow(() => parked.park(1_000, 100));
  });

  it('is refused with 503 while too many bytes wait', () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const large = parked.park(1_000, 128 * 1024 * 1024);
    assert.throws(() => parked.park(1_000, 1), { code: 'not-accepted' });
    inbox.deliver(replyTo(large.correlationId));
    assert.doesNotThrow(() => parked.park(1_000, 1));
  });

  it('has a key of 128 random bits that no other has', () => {
    const parked = createParkedRequests({ inbox, maxParked: 1_000 });
    const keys = Array.from({ length: 1_000 }, () => parked.park(1_000, 100).correlationId);
    assert.equal(new Set(keys).size, 1_000);
    assert.ok(keys.every((key) => Buffer.from(key, 'base64url').length === 16));
  });

  it('is told when its inbox is shut what its deadline would have told it, and none is parked any more', async () => {
    const parked = createParkedRequests({ inbox, maxParked: 10 });
    const [sent, unsent] = [parked.park(1_000, 100), parked.park(1_000, 100)];
    sent.startSending();
    const drained = inbox.drained();
    inbox.shut();
    await assertFails(sent, 'outcome-unknown');
    await assertFails(unsent, 'not-accepted');
    await drained;
    assert.throws(() => parked.park(1_000, 100), { code: 'not-accepted' });
  });
});
