import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { beforeEach, describe, it } from 'node:test';
import { withDeadline } from './with-deadline.ts';

const event = { specversion: '1.0', id: '1', source: '/test', type: 'T' } as const;

const never = new Promise<never>(() => {});

/** A run that is given nothing but its signal, with the deadline of a handler. */
async function runWithin<T>(
  run: (signal: AbortSignal) => Promise<T> | T,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<T> {
  return withDeadline((_event, context: { signal: AbortSignal }) => run(context.signal), { timeoutMs })(
    event,
    {
      signal,
    },
  );
}

describe('withDeadline', () => {
  let lost: AbortController;
  let signal: AbortSignal | undefined;
  const hang = (given: AbortSignal) => {
    signal = given;
    return never;
  };
  beforeEach(() => {
    lost = new AbortController();
    signal = undefined;
  });

  it('resolves with what the run does, and leaves neither timer nor listener behind', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const run = async (given: AbortSignal) => {
      signal = given;
      return 'done';
    };
    assert.equal(await runWithin(run, { timeoutMs: 10, signal: lost.signal }), 'done');
    t.mock.timers.tick(10);
    assert.equal(signal?.aborted, false);
    assert.equal(getEventListeners(lost.signal, 'abort').length, 0);
  });

  it('sets neither timer nor listener for a run that is over when it returns', async (t) => {
    const timers = t.mock.method(globalThis, 'setTimeout');
    const listeners = t.mock.method(lost.signal, 'addEventListener');
    assert.equal(await runWithin(() => 'done', { timeoutMs: 10, signal: lost.signal }), 'done');
    assert.deepEqual([timers.mock.callCount(), listeners.mock.callCount()], [0, 0]);
  });

  it('ends a run that loses its delivery by what it does before it waits', async () => {
    const run = () => {
      lost.abort();
      return never;
    };
    await assert.rejects(runWithin(run, { timeoutMs: 60_000, signal: lost.signal }), {
      code: 'delivery-lost',
    });
    assert.equal(getEventListeners(lost.signal, 'abort').length, 0);
  });

  it('rejects as the run does', async () => {
    const options = { timeoutMs: 1_000, signal: lost.signal };
    await assert.rejects(
      runWithin(() => Promise.reject(new Error('mine')), options),
      /mine/,
    );
  });

  it('aborts at the timeout, and waits no longer for a run that does not heed it', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const ended = runWithin(hang, { timeoutMs: 10, signal: lost.signal });
    t.mock.timers.tick(10);
    assert.equal(signal?.aborted, false);
    t.mock.timers.tick(1);
    await assert.rejects(ended, { code: 'handler-timeout' });
    assert.equal(signal?.reason.code, 'handler-timeout');
  });

  it('never ends before the timeout has passed by the clock of the event', async () => {
    const isEarly = async () => {
      const endMs = Date.now() + 5;
      await assert.rejects(runWithin(hang, { timeoutMs: 5, signal: lost.signal }));
      return Date.now() < endMs;
    };
    const early = [];
    for (let round = 0; round < 40; round++) early.push(...(await Promise.all([isEarly(), isEarly()])));
    assert.deepEqual(early.filter(Boolean), []);
  });

  it('tells why it ended, whatever the run makes of its signal', async () => {
    const run = (given: AbortSignal) =>
      new Promise<never>((_, reject) => {
        given.addEventListener('abort', () => reject(new Error('mine')));
      });
    await assert.rejects(runWithin(run, { timeoutMs: 5, signal: lost.signal }), {
      code: 'handler-timeout',
    });
  });

  it('aborts when the delivery is lost', async () => {
    const ended = runWithin(hang, {
      timeoutMs: 1_000,
      signal: lost.signal,
    });
    lost.abort();
    await assert.rejects(ended, { code: 'delivery-lost' });
    assert.equal(signal?.reason.code, 'delivery-lost');
  });

  it('does not run for a delivery that is lost already', async (t) => {
    lost.abort();
    const run = t.mock.fn(async () => {});
    await assert.rejects(runWithin(run, { timeoutMs: 1_000, signal: lost.signal }), {
      code: 'delivery-lost',
    });
    assert.equal(run.mock.callCount(), 0);
  });

  it('hears a run that fails after its deadline', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const ended = runWithin(() => promise, { timeoutMs: 1_000, signal: lost.signal });
    lost.abort();
    await assert.rejects(ended, { code: 'delivery-lost' });
    // Unheard, this would end the process and fail the test file.
    reject(new Error('too late'));
    await new Promise(setImmediate);
  });
});
