import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createAuthority, type KeyPair, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { startStandIn } from '@waybill/test-harness/stand-in.ts';
import { pino } from 'pino';
import { confirmAll, keys } from '../public-web.fixture.ts';
import { createDispatcherClient } from './dispatcher-client.ts';

const authority = createAuthority();
trust(authority);

type Line = { msg: string; dispatcher: string; reason?: string };
type Start = { tls?: KeyPair; urlOf?(port: number): string };

/** A dispatcher and its client; `send` resolves with what a public-web's client would be told. */
async function start(t: TestContext, { tls, urlOf = (port) => `https://localhost:${port}` }: Start) {
  const dispatcher = await startStandIn({ keys: keys.call, onBatch: confirmAll, tls });
  const all: Line[] = [];
  const client = await createDispatcherClient({
    urls: [urlOf(dispatcher.port)],
    keys: keys.call,
    clock: createClockCheck(),
    maxQueued: 10,
    log: pino({ level: 'info' }, { write: (line: string) => void all.push(JSON.parse(line)) }),
  });
  t.after(async () => {
    await client.close();
    await dispatcher.close();
  });
  const event = {
    specversion: '1.0',
    id: '1',
    source: '/test',
    type: 'PingRequest',
    correlationid: 'c',
  } as const;
  const send = async () => (await client.send(event, () => false))?.code ?? 'confirmed';
  // Where localhost is an IPv6 address as well, nothing listens there.
  const lines = () => all.filter((line) => line.dispatcher.includes('127.0.0.1'));
  return { dispatcher, lines, send };
}

describe('a dispatcher with TLS', () => {
  it('is reached by the name in its URL, whatever address that resolves to', async (t) => {
    const { send } = await start(t, { tls: authority.issue({ names: ['localhost'] }) });
    assert.equal(await send(), 'confirmed');
  });

  it('is reached by an address that its certificate names', async (t) => {
    const tls = authority.issue({ names: ['127.0.0.1'] });
    const { send } = await start(t, { tls, urlOf: (port) => `https://127.0.0.1:${port}` });
    assert.equal(await send(), 'confirmed');
  });

  for (const { why, pair, reason } of refusedPairs(authority))
    it(`is sent nothing when it shows a certificate ${why}: 503, and one line says why`, async (t) => {
      const { dispatcher, lines, send } = await start(t, { tls: pair });
      assert.deepEqual([await send(), await send()], ['not-accepted', 'not-accepted']);
      assert.deepEqual(dispatcher.batches, []);
      assert.deepEqual(
        lines().map(({ msg }) => msg),
        ['dispatcher does not accept events'],
      );
      assert.match(String(lines()[0]?.reason), reason);
    });

  it('is sent nothing when it turns out to speak plain HTTP', async (t) => {
    const { dispatcher, lines, send } = await start(t, {});
    assert.equal(await send(), 'not-accepted');
    assert.deepEqual(dispatcher.batches, []);
    assert.match(String(lines()[0]?.reason), /wrong version number/);
  });

  it('gets nothing in plain HTTP: the first event may have got through, the next has not', async (t) => {
    const { dispatcher, lines, send } = await start(t, {
      tls: authority.issue({ names: ['localhost'] }),
      urlOf: (port) => `http://localhost:${port}`,
    });
    assert.deepEqual([await send(), await send()], ['outcome-unknown', 'not-accepted']);
    assert.deepEqual(dispatcher.batches, []);
    assert.equal(lines().length, 1);
  });
});
