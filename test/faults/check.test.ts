import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Received } from '../e2e/dataset-consumer.ts';
import { BUSY_SLACK_MS, findViolations, type RunResult } from './check.ts';
import { noEvidence } from './evidence.ts';
import type { InjectedFault } from './inject.ts';
import { KEYED_FROM, type KeyedTry } from './keyed-load.ts';
import { fromAnswer, type Operation } from './operation.ts';
import type { StreamOperation } from './stream-load.ts';

const START_MS = 1_000_000;
const DEADLINE_MS = 2_000;
/** The index of the last batch. */
const LAST = 2;
const NO_REPLY = { outcome: 'unknown', status: 504, code: 'outcome-unknown' } as const;
const TIMED_OUT = { ...NO_REPLY, waitMs: DEADLINE_MS + 5, detail: `no reply within ${DEADLINE_MS} ms` };
const REFUSED = { outcome: 'refused', status: 503, code: 'not-accepted', detail: 'no dispatcher' } as const;

describe('the checks of a fault run', () => {
  it('find nothing in a run that keeps every promise', () => {
    assert.deepEqual(broken(cleanRun()), []);
  });

  it('find nothing wrong with streams that are whole, or given up, or were refused, or maybe never begun', () => {
    const run = cleanRun();
    addStream(run, [0, 1, LAST]);
    addStream(run, [0, 0, 1, LAST, 1, LAST]);
    addStream(run, [], { outcome: 'refused' });
    addStream(run, [], { outcome: 'unknown' });
    addStream(run, [0], { clientId: 'suspect' });
    run.deadLetters.push({ id: 'event', clientId: 'suspect', reason: 'listener-crashed', error: '' });
    assert.deepEqual(broken(run), []);
  });

  it('find a stream broken off of which its client does not know whether it was accepted', () => {
    const run = cleanRun();
    addStream(run, [0], { outcome: 'unknown' });
    assert.deepEqual(broken(run), ['a stream comes whole']);
  });

  it('find nothing lost of what waited for a retired service and was given up, or went with a deleted queue', () => {
    const run = cleanRun();
    const retirement = { ...fault({ kind: 'retire-service', target: 'broker' }), moved: ['suspect', 'gone'] };
    const deletion = fault({ kind: 'delete-queue', target: 'broker' }, 2_000);
    run.injected.push(retirement, { ...deletion, deletedMs: deletion.startMs });
    run.deadLetters.push({ id: 'suspect', reason: 'listener-crashed', error: '' });
    assert.deepEqual(broken(run), []);
  });

  it('find a batch that came with two bodies', () => {
    const run = cleanRun();
    const { received } = addStream(run, [0, 1, LAST]);
    received.push({ ...(received[1] as Received), digest: 'another' });
    assert.deepEqual(broken(run), ['batches come in order and do not contradict each other']);
  });

  it('find nothing wrong with what faults explain', () => {
    const run = cleanRun();
    // Its reply came after the deadline, and nobody waited.
    add(run, { id: 'late', ...TIMED_OUT }, { routed: [['gone', DEADLINE_MS + 50]] });
    // Its public-web did not answer until the reply had expired.
    const ends = [['failing', 900] as const, ['expired', DEADLINE_MS + 900] as const];
    add(run, { id: 'set-aside', ...TIMED_OUT }, { routed: ends });
    // Nobody waited for its outcome any more when the reply came.
    const early = { ...NO_REPLY, waitMs: 100, detail: 'the dispatcher broke the connection' };
    add(run, { id: 'early', ...early }, { routed: [['gone', 150]] });
    add(run, { id: 'refused', ...REFUSED, waitMs: 1 }, { ran: 0 });
    assert.deepEqual(broken(run), []);
  });

  const breaches: Record<string, (run: RunResult) => void> = {
    'what is refused never runs': (run) => add(run, { id: 'x', ...REFUSED }, {}),
    'what is confirmed is not lost': (run) => {
      add(run, { id: 'x', ...TIMED_OUT }, { replied: false, routed: [] });
      // Which may have had it, but would have given it back.
      run.injected.push(fault({ kind: 'kill', target: 'ping-listener-0' }, DEADLINE_MS + 100));
    },
    'what waited for a retired service is handled': (run) => {
      run.evidence.ran.set('handled', [START_MS]);
      run.injected.push({ ...fault({ kind: 'retire-service', target: 'broker' }), moved: ['handled', 'x'] });
    },
    'a key has one effect': (run) => void addKeyed(run, ['one', 'other'], [NO_REPLY, { eventId: 'one' }]),
    'what is answered under a key has run': (run) => void addKeyed(run, [], [{ eventId: 'one' }]),
    'a key that is refused at every try has no effect': (run) => void addKeyed(run, ['one'], [REFUSED]),
    'only documented answers to requests with keys': (run) =>
      void addKeyed(run, [], [{ outcome: 'wrong', status: 500 }]),
    'every new key after the recovery leads to an answer': (run) =>
      void addKeyed(run, [], [{ ...NO_REPLY, startMs: run.recoveredMs ?? 0 }]),
    'only documented answers, each to its own request': (run) => {
      const ping = { id: 'x', sentAt: 1 };
      add(run, { id: 'x', ...fromAnswer(500, '{"code":"unexpected"}', ping) }, {});
      const other = JSON.stringify({ id: 'y', type: 'PingResponse', data: { sentAt: 1 } });
      assert.equal(fromAnswer(200, other, ping).outcome, 'wrong');
    },
    'one answer per request': (run) => run.evidence.accounted.set('good', 2),
    'a connection is cut only by a kill': (run) => {
      const cut = { outcome: 'unknown', status: 0, code: 'ECONNRESET' } as const;
      add(run, { id: 'x', ...cut }, {});
    },
    'every answer after the recovery is 200': (run) => {
      run.recoveredMs = START_MS;
      add(run, { id: 'x', ...REFUSED }, { ran: 0 });
    },
    'without a fault for 7 s every answer is 200': (run) => {
      run.injected.length = 0;
      add(run, { id: 'x', ...REFUSED }, { ran: 0 });
    },
    'what is answered has run': (run) => void run.evidence.ran.delete('good'),
    'it answers again after healing': (run) => {
      run.recoveredMs = undefined;
    },
    'a refused stream never comes': (run) => void addStream(run, [0, 1, LAST], { outcome: 'refused' }),
    'only documented answers to who asks for a dataset': (run) =>
      void addStream(run, [], { outcome: 'wrong', status: 500 }),
    'a stream comes whole': (run) => void addStream(run, [0, 1]),
    'batches come in order and do not contradict each other': (run) => void addStream(run, [1, 0, LAST]),
    'all queues end empty': (run) => {
      run.leftInQueues = { 'waybill.replies': 1 };
    },
    'only innocent suspects of crashes are given up': (run) =>
      void run.deadLetters.push({ id: 'good', reason: 'handler-failed', error: 'x: y' }),
    'a 502 has its dead letter': (run) =>
      add(run, { id: 'x', outcome: 'unknown', status: 502, code: 'handler-failed' }, {}),
    'processes end only when told to, and all of them': (run) =>
      void run.troubles.push('dispatcher-0 (process 1) is still there'),
    'no fault from outside is an error to log': (run) =>
      void run.evidence.alarmingLines.push('dispatcher-0: {"level":"error"}'),
  };
  for (const [promise, breach] of Object.entries(breaches))
    it(`find one breach of "${promise}", and of no other`, () => {
      const run = cleanRun();
      breach(run);
      assert.deepEqual(broken(run), [promise]);
    });

  it('find nothing wrong with a key that was refused, lost its connection, and led to what had run meanwhile', () => {
    const run = cleanRun();
    const cut = { outcome: 'unknown', status: 0, code: 'ECONNRESET' } as const;
    addKeyed(run, ['one'], [REFUSED, cut, NO_REPLY, { eventId: 'one' }]);
    assert.deepEqual(broken(run), []);
  });

  const LATE = 'nobody waits past the deadline';
  it('find an answer later than 250 ms past the deadline by the log of public-web, but for the time it was frozen', () => {
    for (const [durationMs, found] of [
      [DEADLINE_MS + 250, []],
      [DEADLINE_MS + 251, [LATE]],
    ] as const) {
      const run = cleanRun();
      run.maxLagMs = 5_000;
      run.evidence.durations.set('good', durationMs);
      assert.deepEqual(broken(run), found);
      assert.deepEqual(broken(run, BUSY_SLACK_MS), []);
      if (found.length > 0) run.injected.push(fault({ kind: 'freeze', target: 'public-web-0' }));
      assert.deepEqual(broken(run), []);
    }
  });

  it('find an answer later than that by the clock of the client, less what the client itself was late', () => {
    const run = cleanRun();
    add(run, { id: 'x', outcome: 'answered', status: 200, waitMs: DEADLINE_MS + 300 }, {});
    run.maxLagMs = 50;
    assert.deepEqual(broken(run), []);
    run.maxLagMs = 49;
    assert.deepEqual(broken(run), [LATE]);
    run.maxLagMs = 0;
    // It works through what came before this one.
    const THAWED_MS = 1_000;
    run.injected.push(fault({ kind: 'freeze', target: 'public-web-0' }, -1_000 - THAWED_MS));
    assert.deepEqual(broken(run), [LATE]);
    run.injected.push(fault({ kind: 'freeze', target: 'public-web-0' }, -999 - THAWED_MS));
    assert.deepEqual(broken(run), []);
  });

  it('find a connection that was cut by a public-web told to stop if a tier saw its event, or if they are many', () => {
    const CUT = 'a connection is cut only by a kill';
    for (const [ids, ran, found] of [
      [['a', 'b'], 0, []],
      [['a'], 1, [CUT]],
      [['a', 'b', 'c'], 0, [CUT]],
    ] as const) {
      const run = cleanRun();
      run.injected.push(fault({ kind: 'terminate', target: 'public-web-0' }));
      for (const id of ids) add(run, { id, outcome: 'unknown', status: 0, code: 'ECONNRESET' }, { ran });
      assert.deepEqual(broken(run), found);
    }
  });

  it('find an event that a listener dropped as expired before it was', () => {
    for (const [afterMs, found] of [
      [DEADLINE_MS + 1, []],
      [DEADLINE_MS - 100, ['what is confirmed is not lost']],
    ] as const) {
      const run = cleanRun();
      add(run, { id: 'x', ...TIMED_OUT }, { replied: false, routed: [] });
      run.evidence.expired.set('x', START_MS + afterMs);
      assert.deepEqual(broken(run), found);
    }
  });

  describe('find a reply that was in the broker and is lost:', () => {
    const LOST = 'a reply in the broker is not lost';
    const lost: Record<string, (readonly [outcome: string, afterMs: number])[]> = {
      'no dispatcher ever had it': [],
      'it was set aside and never came back': [['failing', 500]],
      'public-web did not know it, and yet its client waited': [['gone', 500]],
      'it was dropped before it expired': [['expired', 500]],
      'it was delivered, and its client told otherwise': [['delivered', DEADLINE_MS + 50]],
    };
    for (const [how, routed] of Object.entries(lost))
      it(how, () => {
        const run = cleanRun();
        add(run, { id: 'x', ...TIMED_OUT }, { routed });
        assert.deepEqual(broken(run), [LOST]);
      });

    it('unless a dispatcher was killed meanwhile, which may have known', () => {
      for (const [killMs, found] of [
        [500, []],
        [-5_000, [LOST]],
        [DEADLINE_MS + 3_000, [LOST]],
      ] as const) {
        const run = cleanRun();
        run.injected.push(fault({ kind: 'kill', target: 'dispatcher-1' }, killMs));
        add(run, { id: 'x', ...TIMED_OUT }, { routed: [] });
        assert.deepEqual(broken(run), found);
      }
    });
  });
});

/** The promises that `run` breaks, each once. */
function broken(run: RunResult, slackMs?: number): string[] {
  return [...new Set(findViolations(run, { slackMs }).map(({ promise }) => promise))];
}

/** One ping, `good`, that was answered; meanwhile a link was reset, and a minute later the run counts as recovered. */
function cleanRun(): RunResult {
  const run: RunResult = {
    operations: [],
    injected: [fault({ kind: 'reset', target: 'callback0' })],
    evidence: noEvidence(),
    deadLetters: [],
    leftInQueues: {},
    healedMs: START_MS,
    recoveredMs: START_MS + 60_000,
    maxLagMs: 0,
    troubles: [],
  };
  add(run, { id: 'good', outcome: 'answered', status: 200 }, { routed: [['delivered', 8]] });
  return run;
}

/** Adds an operation, and what the tiers say of it: by default that it was handled once, and its reply taken. */
function add(
  { operations, evidence }: RunResult,
  operation: Pick<Operation, 'id' | 'outcome' | 'status'> & Partial<Operation>,
  {
    ran = 1,
    replied = ran > 0,
    routed = ran > 0 ? [['gone', DEADLINE_MS + 10]] : [],
  }: { ran?: number; replied?: boolean; routed?: (readonly [outcome: string, afterMs: number])[] },
): void {
  const { id } = operation;
  const usual = {
    publicWeb: 0,
    startMs: START_MS,
    waitMs: 10,
    deadlineMs: DEADLINE_MS,
    code: '',
    detail: '',
  };
  operations.push({ ...usual, ...operation });
  if (ran > 0) {
    evidence.confirmed.add(id);
    evidence.ran.set(id, Array(ran).fill(START_MS + 4));
  }
  if (replied) evidence.replied.set(id, START_MS + 5);
  if (routed.length > 0)
    evidence.routed.set(
      id,
      routed.map(([outcome, afterMs]) => ({ outcome, atMs: START_MS + afterMs })),
    );
  evidence.accounted.set(id, 1);
}

/** A fault of a second. */
function fault(what: Pick<InjectedFault, 'kind' | 'target'>, atMs = 0): InjectedFault {
  const startMs = START_MS + atMs;
  return { ...what, atMs, durationMs: 1_000, startMs, endMs: startMs + 1_000 } as InjectedFault;
}

/** Adds a request with a key, these events of which have run; by default a try was answered. */
function addKeyed(run: RunResult, ran: string[], tries: Partial<KeyedTry>[]): void {
  const usual = { publicWeb: 0, startMs: START_MS, waitMs: 10, eventId: undefined };
  const answered = { outcome: 'answered', status: 200, code: '', detail: '' } as const;
  run.evidence.idsOf.set(KEYED_FROM, new Set(ran));
  const made = tries.map((each) => ({ ...usual, ...answered, ...each }));
  run.keyed = [{ key: 'key', number: KEYED_FROM, tries: made }];
}

/** Adds a stream of three batches of which these came; by default it was accepted. */
function addStream(run: RunResult, indexes: number[], given: Partial<StreamOperation> = {}): StreamOperation {
  const clientId = `client-${run.streams?.length ?? 0}`;
  const received = indexes.map((index) => ({
    ...{ index, isLast: index === LAST, streamId: clientId, digest: `of ${index}`, bytes: 1 },
    ...{ traceparent: undefined, isRedelivered: false },
  }));
  const answer = { outcome: 'accepted', status: 202, code: '', detail: '' } as const;
  const stream = { clientId, publicWeb: 0, startMs: START_MS, received, ...answer, ...given };
  run.streams = [...(run.streams ?? []), stream];
  return stream;
}
