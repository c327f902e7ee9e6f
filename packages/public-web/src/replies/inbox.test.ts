import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createInbox } from './inbox.ts';

const eventFor = (correlationid: string): CloudEvent => ({
  specversion: '1.0',
  id: 'r',
  source: '/test',
  type: 'PingResponse',
  correlationid,
});

/** A sink that notes what it is told. */
function createSink() {
  const told: unknown[] = [];
  return {
    told,
    take: ({ correlationid }: CloudEvent, bytes: number) => void told.push([correlationid, bytes]),
    expire: (when: string) => void told.push(when),
  };
}

describe('an entry of the inbox', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
  afterEach(() => mock.timers.reset());

  it('takes every event under its key until it is closed, and none under another', () => {
    const inbox = createInbox();
    const sink = createSink();
    inbox.open('mine', sink, 1_000);
    const delivered = ['mine', 'other', 'mine'].map((key) => inbox.deliver(eventFor(key), 7));
    assert.deepEqual(delivered, [true, false, true]);
    assert.deepEqual([inbox.close('mine'), inbox.close('mine'), inbox.isOpen('mine')], [true, false, false]);
    assert.equal(inbox.deliver(eventFor('mine')), false);
    mock.timers.tick(1_000);
    assert.deepEqual(sink.told, [
      ['mine', 7],
      ['mine', 7],
    ]);
  });

  it('is closed when its lease is over and not before, whatever it has taken', () => {
    const inbox = createInbox();
    const sink = createSink();
    inbox.open('mine', sink, 1_000);
    mock.timers.tick(999);
    inbox.deliver(eventFor('mine'));
    mock.timers.tick(1);
    assert.equal(inbox.deliver(eventFor('mine')), false);
    assert.deepEqual(sink.told, [['mine', 0], 'within 1000 ms']);
  });

  it('may be opened again under its key once it is closed, for a whole lease', () => {
    const inbox = createInbox();
    const [first, second] = [createSink(), createSink()];
    inbox.open('mine', first, 1_000);
    mock.timers.tick(999);
    inbox.close('mine');
    inbox.open('mine', second, 1_000);
    mock.timers.tick(999);
    assert.deepEqual([first.told, second.told, inbox.isOpen('mine')], [[], [], true]);
  });

  it('is closed with all others when the inbox is shut, which opens none any more', async () => {
    const inbox = createInbox();
    const sinks = [createSink(), createSink()];
    sinks.forEach((sink, index) => void inbox.open(`${index}`, sink, 1_000));
    const drained = inbox.drained();
    inbox.shut();
    await drained;
    for (const { told } of sinks) assert.deepEqual(told, ['before this instance stopped']);
    assert.throws(() => inbox.open('new', createSink(), 1_000), { code: 'not-accepted' });
  });
});
