import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { MAX_PARTIAL_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { isNotSent } from '@waybill/test-harness/not-sent.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { Agent, request } from 'undici';
import {
  answer,
  confirmAll,
  type Dispatcher,
  deliver,
  pong,
  pongAll,
  startDispatcher,
  startPublicWeb,
} from './public-web.fixture.ts';

const MAX_PARKED = 8;
/** Connections that nobody has taken yet: 511 by default. */
const MORE_THAN_NODE_HAS_WAIT = 600;
let dispatcher: Dispatcher;
let publicWeb: Service;

function ping(options: { headers?: Record<string, string>; signal?: AbortSignal } = {}): Promise<Response> {
  return fetch(`${publicWeb.baseUrl}/ping`, options);
}

async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code;
}

/** Starts requests that wait, one after the other so that each goes in a batch of its own. */
async function wait(count: number, signal?: AbortSignal): Promise<Promise<Response>[]> {
  const waiting: Promise<Response>[] = [];
  for (let index = 0; index < count; index += 1) {
    const next = dispatcher.batch(dispatcher.batches.length);
    const response = ping({ signal });
    response.catch(() => {});
    waiting.push(response);
    await next;
  }
  return waiting;
}

/** Sends a ping and closes the connection. */
async function leave(): Promise<void> {
  const client = new AbortController();
  const gone = assert.rejects(ping({ signal: client.signal }), { name: 'AbortError' });
  await fetch(`${publicWeb.baseUrl}/health/live`);
  client.abort();
  await gone;
}

/** How many requests public-web has ended because their client has gone. */
function countGivenUp(): number {
  return publicWeb.logs.filter(({ outcome }) => outcome === 'client-gone').length;
}

/** Answers everything the dispatcher has taken. */
async function deliverAll(): Promise<string[]> {
  return deliver(dispatcher.batches.flat().map((event) => pong(event)));
}

describe('public-web', () => {
  before(async () => {
    dispatcher = await startDispatcher();
    publicWeb = await startPublicWeb([dispatcher], {
      MAX_PARKED: String(MAX_PARKED),
      // Opens the gRPC port.
      PUBLIC_EVENT_TYPES: 'PingRequest,nimbus.Test',
    });
  });
  after(async () => {
    await publicWeb.stop();
    await dispatcher.close();
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = confirmAll;
  });

  it('refuses with 503 at once when MAX_PARKED requests wait, and takes requests again when they are answered', async () => {
    const waiting = await wait(MAX_PARKED);
    const refused = await ping();
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal(await codeOf(refused), 'not-accepted');
    assert.deepEqual(await deliverAll(), []);
    for (const response of waiting) assert.equal((await response).status, 200);
    dispatcher.onBatch = pongAll;
    assert.equal((await ping()).status, 200);
  });

  it('forgets requests past their deadline: nothing of them stays parked', async () => {
    const expired = Array.from({ length: MAX_PARKED }, () => ping({ headers: { prefer: 'wait=1' } }));
    for (const response of expired) assert.equal((await response).status, 504);
    assert.equal((await deliverAll()).length, MAX_PARKED);
    dispatcher.onBatch = pongAll;
    const answered = Array.from({ length: MAX_PARKED }, () => ping());
    for (const response of answered) assert.equal((await response).status, 200);
  });

  it('forgets a request whose client has gone', async () => {
    const client = new AbortController();
    await wait(MAX_PARKED, client.signal);
    assert.equal((await ping()).status, 503);
    client.abort();
    await eventually(async () => {
      const next = dispatcher.batch(MAX_PARKED);
      const response = ping();
      await Promise.race([next, response.then(({ status }) => assert.notEqual(status, 503))]);
    });
    const late = dispatcher.batches.slice(0, MAX_PARKED).flat();
    assert.equal((await deliver(late.map((event) => pong(event)))).length, MAX_PARKED);
    await deliver(
      dispatcher.batches
        .slice(MAX_PARKED)
        .flat()
        .map((event) => pong(event)),
    );
  });

  it('does not send the event of a client that has gone, or that had no turn in time: the latter is told 503', async () => {
    const held: ServerResponse[] = [];
    dispatcher.onBatch = (_events, response) => held.push(response);
    const waiting = await wait(MAX_PARTIAL_BATCHES_IN_FLIGHT); // every place for a batch that is not full is taken
    const before = countGivenUp();
    // Again if it was not fast enough: who comes half a second after the last turn is refused.
    await eventually(async () => {
      answer(held.shift() as ServerResponse);
      waiting.push(...(await wait(1)));
      await leave();
      await eventually(() => assert.ok(countGivenUp() > before), { timeoutMs: 500 });
    });
    const unsent = await ping();
    assert.equal(unsent.status, 503);
    assert.equal(await codeOf(unsent), 'not-accepted');
    await deliverAll();
    for (const response of waiting) await response;
    dispatcher.onBatch = pongAll;
    for (const response of held) answer(response);
    assert.equal((await ping()).status, 200);
    assert.equal(dispatcher.batches.flat().length, waiting.length + 1, 'neither of them was sent');
  });

  for (const name of ['port', 'grpcPort'])
    it(`has hundreds of clients wait that connect while it has no processor (${name})`, async (t) => {
      const { [name]: port } = await publicWeb.waitForLog(({ msg }) => msg === 'listening');
      t.after(() => publicWeb.kill('SIGCONT'));
      publicWeb.kill('SIGSTOP');
      const signal = AbortSignal.timeout(20_000);
      const clients = Array.from({ length: MORE_THAN_NODE_HAS_WAIT }, () =>
        connect(Number(port), '127.0.0.1'),
      );
      for (const client of clients) t.after(() => client.destroy());
      await Promise.all(clients.map((client) => once(client, 'connect', { signal })));
    });
});

/** Who connects in the very moment in which the port is closed (docs/reliability.md): none, nearly always. */
const MAX_RESETS = 1;

describe('public-web, told to stop', () => {
  const agent = new Agent({ connections: 16 });
  beforeEach(async () => {
    dispatcher = await startDispatcher();
    publicWeb = await startPublicWeb([dispatcher]);
  });
  afterEach(async () => {
    await dispatcher.close();
  });
  after(() => agent.close());

  /** Sends requests over kept-alive connections until one is refused. */
  async function client(outcomes: string[]): Promise<void> {
    for (;;) {
      try {
        const { statusCode, body } = await request(`${publicWeb.baseUrl}/ping`, { dispatcher: agent });
        await body.dump();
        outcomes.push(String(statusCode));
      } catch (error) {
        if (isNotSent(error)) return;
        outcomes.push((error as { code: string }).code);
      }
    }
  }

  it('answers every request under way, resets at most one connection, and exits 0', async () => {
    dispatcher.onBatch = async (events: CloudEvent[], response) => {
      answer(response);
      // Long enough that many wait for their reply when the signal comes.
      await delay(50);
      await deliver(events.map((event) => pong(event)));
    };
    const outcomes: string[] = [];
    const clients = Array.from({ length: 16 }, () => client(outcomes));
    await dispatcher.batch(20);
    const exit = await publicWeb.stop();
    await Promise.all(clients);
    assert.deepEqual(exit, { code: 0, signal: null });
    assert.ok(outcomes.length > 16);
    const failed = outcomes.filter((outcome) => outcome !== '200');
    assert.ok(failed.length <= MAX_RESETS, failed.join());
  });

  it('still takes replies, and tells 504 to those whose reply does not come in time', async () => {
    dispatcher.onBatch = confirmAll;
    const [answered, unanswered] = (await wait(2)) as [Promise<Response>, Promise<Response>];
    const stopping = publicWeb.stop();
    await publicWeb.waitForLog(({ msg }) => msg === 'stopping');
    const [event] = dispatcher.batches[0] as [CloudEvent];
    assert.deepEqual(await deliver([pong(event)]), []);
    assert.equal((await answered).status, 200);
    const response = await unanswered;
    assert.equal(response.status, 504);
    assert.equal(await codeOf(response), 'outcome-unknown');
    assert.deepEqual(await stopping, { code: 0, signal: null });
  });
});

it('tells its health on a port of its own while strangers hold all connections of the public one', async (t) => {
  const service = await startPublicWeb([], { MAX_CONNECTIONS: '3' });
  t.after(() => service.stop());
  const held = Array.from({ length: 3 }, () => connect(Number(service.port), '127.0.0.1'));
  for (const socket of held) socket.on('error', () => {}); // the service may stop before they are closed
  t.after(() => {
    for (const socket of held) socket.destroy();
  });
  await Promise.all(held.map((socket) => once(socket, 'connect')));
  await assert.rejects(fetch(`${service.baseUrl}/health/live`));
  for (const path of ['/health/live', '/health/ready'])
    assert.equal((await fetch(`http://127.0.0.1:${service.healthPort}${path}`)).status, 200);
});
