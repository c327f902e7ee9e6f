import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientPromises } from './check-clients.ts';
import type { Sending, StayingClient } from './client-load.ts';
import { noEvidence } from './evidence.ts';
import type { InjectedFault } from './inject.ts';

const START_MS = Date.UTC(2026, 0, 1);
const DEADLINE_MS = 10_000;

type Run = Parameters<typeof clientPromises>[0] & { client: StayingClient };

/** A client that has sent 1, 2 and 3 over its only connection, and got their squares; then it posted 4. */
function cleanRun(): Run {
  const client: StayingClient = { name: 'one', sendings: [], told: [], ends: ['1000'], isAnswered: true };
  for (const number of [1, 2, 3]) send(client, number);
  send(client, 4, { outcome: 'accepted', status: 202 });
  for (const number of [1, 2, 3, 4]) tell(client, number);
  const evidence = noEvidence();
  for (const { number } of client.sendings) evidence.taken.add(number);
  return { client, clients: [client], injected: [], evidence, recoveredMs: START_MS };
}

function send(client: StayingClient, number: number, given: Partial<Sending> = {}): void {
  const at = { connection: 0, way: 'websocket', publicWeb: 0, startMs: START_MS, endMs: START_MS };
  const sent = { outcome: 'sent', status: 0, code: '', detail: '', deadlineMs: DEADLINE_MS } as const;
  client.sendings.push({ number, ...at, ...sent, ...given });
}

/** The next entry of its mailbox. */
function tell({ told }: StayingClient, number: number | undefined, code = ''): void {
  const result = number === undefined || code !== '' ? undefined : number * number;
  const at = { way: 'websocket', publicWeb: 0, atMs: START_MS };
  told.push({ token: `e.${told.length + 1}`, number, result, code, ...at });
}

function broken(run: Run): string[] {
  return Object.entries(clientPromises(run)).flatMap(([promise, breaches]) =>
    breaches.length > 0 ? [promise] : [],
  );
}

const KILL = {
  ...{ kind: 'kill', target: 'public-web-0', atMs: 0, durationMs: 0 },
  ...{ startMs: START_MS + DEADLINE_MS, endMs: START_MS + DEADLINE_MS + 500 },
} as const satisfies InjectedFault;

describe('the checks of clients that stay', () => {
  it('find nothing wrong with a clean run', () => {
    assert.deepEqual(broken(cleanRun()), []);
  });

  it('find nothing wrong with what was on its way, was refused, or had no reply', () => {
    const run = cleanRun();
    const { client, evidence, injected } = run;
    send(client, 5, { connection: 1 });
    // Its store was not told in time.
    send(client, 6, { startMs: 0, connection: 3, outcome: 'refused', status: 503, code: 'not-accepted' });
    tell(client, 6, 'outcome-unknown');
    send(client, 7, { outcome: 'unknown' });
    // It is filled by its store, which does not know its event.
    send(client, 8, { connection: 1 });
    evidence.taken.add(8);
    tell(client, undefined, 'outcome-unknown');
    // The instance had it, and was killed before its deadline.
    send(client, 9, { connection: 2 });
    evidence.taken.add(9);
    injected.push(KILL);
    assert.deepEqual(broken(run), []);
    // One that stops tells the store how many it has taken, if that is there.
    injected.splice(0, 1, { ...KILL, kind: 'terminate' });
    assert.deepEqual(broken(run), ['an event of a client that stays is not lost']);
    injected.push({ ...KILL, kind: 'drop-both', target: 'web0-store' });
    assert.deepEqual(broken(run), []);
  });

  const breaches: Record<string, (run: Run) => void> = {
    'a client that brings its token gets nothing twice': ({ client }) => {
      client.told.push({ ...(client.told.at(-1) as StayingClient['told'][number]), number: undefined });
    },
    'a client gets all that is in its mailbox': ({ client }) => {
      client.told.splice(2, 1, { ...(client.told[2] as StayingClient['told'][number]), code: 'waybill.Gap' });
    },
    'results come in the order of the events': ({ client: { told } }) => {
      const [one, two] = told as [StayingClient['told'][number], StayingClient['told'][number]];
      told.splice(0, 2, { ...two, token: one.token }, { ...one, token: two.token });
    },
    'an event has one result, and the right one': ({ client }) => tell(client, 3),
    'an event of a client that stays is not lost': ({ client }) => {
      send(client, 5, { outcome: 'accepted', status: 202 });
    },
    'what is refused has no result': ({ client }) => {
      send(client, 5, { outcome: 'refused', status: 503, code: 'not-accepted' });
      tell(client, 5);
    },
    'only documented answers to clients that stay': ({ client }) => {
      send(client, 5, { outcome: 'wrong', status: 500, startMs: 0 });
      tell(client, 5, 'unexpected');
    },
    'every client is answered in the end': ({ client }) => {
      client.isAnswered = false;
    },
    'every event after the recovery has its result': ({ client }) => {
      send(client, 5);
      tell(client, 5, 'not-accepted');
    },
  };
  for (const [promise, breach] of Object.entries(breaches))
    it(`find one breach of "${promise}", and of no other`, () => {
      const run = cleanRun();
      breach(run);
      assert.deepEqual(broken(run), [promise]);
    });

  it('find lost what was sent before something that has its result, and what a public-web had taken', () => {
    for (const connection of [0, 1]) {
      const run = cleanRun();
      send(run.client, 2.5, { connection });
      if (connection === 0) send(run.client, 5);
      if (connection === 0) tell(run.client, 5);
      else run.evidence.taken.add(2.5);
      assert.deepEqual(broken(run), ['an event of a client that stays is not lost']);
    }
  });

  it('find a result skipped, and another epoch', () => {
    for (const token of ['e.6', 'f.5']) {
      const run = cleanRun();
      send(run.client, 5);
      tell(run.client, 5);
      Object.assign(run.client.told.at(-1) ?? {}, { token });
      assert.deepEqual(broken(run), ['a client gets all that is in its mailbox']);
    }
  });
});
