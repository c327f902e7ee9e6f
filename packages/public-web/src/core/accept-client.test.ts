import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { type PrivateJwk, parsePrivateJwks } from '@waybill/common/credentials/credential-keys.ts';
import { createCredentialsOpener } from '@waybill/common/credentials/sealed-credentials.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, toEvent } from '@waybill/common/event/event.ts';
import type { DispatcherClient, SendOutcome } from '../dispatchers/dispatcher-client.ts';
import { createInbox } from '../replies/inbox.ts';
import { createParkedRequests } from '../replies/parked-requests.ts';
import { createAcceptClient } from './accept-client.ts';
import { createAccount } from './account.ts';
import type { WaitingClient } from './ask.ts';
import { createSendConfirmed } from './send-confirmed.ts';

const CANARY = 'canary-password';
const client = {
  client_id: 'user123',
  queue_name: 'user123-data-queue',
  amqp_host: 'LocalHost',
  amqp_port: 0,
  amqp_user: 'guest',
  amqp_pass: CANARY,
};
const use = {
  client_id: 'user123',
  queue_name: 'user123-data-queue',
  amqp_host: 'LocalHost',
  amqp_port: 5672,
};

const jwk = { ...generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }), kid: 'k1' };
const [privateKey] = parsePrivateJwks(JSON.stringify(jwk)) as [PrivateJwk];
const { d, ...publicKey } = privateKey;

/** An acceptor whose events are `sent` to a dispatcher that answers with what `send` resolves with. */
function start({
  send = async () => undefined,
  deadlineMs = 10_000,
  maxParked = 10,
  hasKey = true,
}: {
  send?: DispatcherClient['send'];
  deadlineMs?: number;
  maxParked?: number;
  hasKey?: boolean;
} = {}) {
  const sent: CloudEvent[] = [];
  const lines: Record<string, unknown>[] = [];
  const inbox = createInbox();
  const parked = createParkedRequests({ inbox, maxParked });
  const acceptClient = createAcceptClient({
    parked,
    sendConfirmed: createSendConfirmed({
      inbox,
      dispatchers: {
        send(event, isCancelled) {
          sent.push(event);
          return send(event, isCancelled);
        },
      },
    }),
    publicKey: hasKey ? publicKey : undefined,
    allowedBrokers: [{ host: 'localhost', port: 5672, isTls: false }],
    deadlineMs,
    account: createAccount({ log: { info() {} } }),
  });
  const note = (line: object) => void lines.push(line as Record<string, unknown>);
  const log = { info: note, error: note };
  const accept = (changes: object = {}, onGone: WaitingClient['onGone'] = () => {}) =>
    acceptClient({ ...client, ...changes }, { onGone, log: log as never });
  return { accept, sent, lines, inbox, parked };
}

const refuse = (code: AppError['code'], message: string) => async (): Promise<SendOutcome> =>
  new AppError(code, message);

describe('createAcceptClient', () => {
  it('sends one NewClientRequest without deadline or reply address, and resolves with its id', async () => {
    const { accept, sent, lines } = start();
    const id = await accept();
    const [event, ...others] = sent as [CloudEvent];
    assert.equal(others.length, 0);
    const { data, correlationid, time, traceparent, tracestate, ...attributes } = event;
    assert.deepEqual(attributes, {
      specversion: '1.0',
      id,
      source: '/waybill/public-web',
      type: 'NewClientRequest',
    });
    assert.match(String(correlationid), /^[\w-]{22}$/);
    toEvent(structuredClone(JSON.parse(JSON.stringify(event))));
    const { credentials, ...rest } = data as typeof use & { credentials: string };
    assert.deepEqual(rest, use);
    assert.deepEqual(await createCredentialsOpener([privateKey]).open(credentials, use), {
      user: 'guest',
      pass: CANARY,
    });
    assert.equal(lines.length, 1);
    const { duration_ms, ...line } = lines[0] ?? {};
    assert.deepEqual(line, { event_id: id, event_type: 'NewClientRequest', status: 202, outcome: undefined });
  });

  it('shows the password neither in the event nor in the log', async () => {
    const { accept, sent, lines } = start();
    await accept();
    await assert.rejects(accept({ amqp_host: 'elsewhere' }));
    await assert.rejects(accept({ amqp_port: 7 }));
    for (const text of [CANARY, Buffer.from(CANARY).toString('base64'), 'Y2FuYXJ5'])
      assert.ok(!JSON.stringify([sent, lines]).includes(text));
  });

  it('gives each client a stream of its own', async () => {
    const { accept, sent } = start();
    assert.notEqual(await accept(), await accept());
    assert.notEqual(sent[0]?.correlationid, sent[1]?.correlationid);
  });

  it('resolves only when the broker has the event', async () => {
    const confirm = Promise.withResolvers<undefined>();
    const sending = Promise.withResolvers<void>();
    const { accept } = start({
      send(_event, isCancelled) {
        assert.equal(isCancelled(), false);
        sending.resolve();
        return confirm.promise;
      },
    });
    let isAccepted = false;
    const accepted = accept().then(() => {
      isAccepted = true;
    });
    await sending.promise;
    await new Promise(setImmediate);
    assert.equal(isAccepted, false);
    confirm.resolve(undefined);
    await accepted;
  });

  for (const [code, status] of [
    ['unroutable', 404],
    ['not-accepted', 503],
    ['outcome-unknown', 504],
  ] as const)
    it(`rejects with ${code}, and logs it once, when that is what became of the event`, async () => {
      const { accept, lines, parked } = start({ send: refuse(code, 'so it is') });
      await assert.rejects(accept(), { code, message: 'so it is' });
      assert.deepEqual(
        lines.map(({ status, outcome }) => ({ status, outcome })),
        [{ status, outcome: code }],
      );
      assert.equal(parked.size(), 0);
    });

  it('sends nothing for bad fields, for a broker that is not allowed, and without a key', async () => {
    const { accept, sent, lines } = start();
    await assert.rejects(accept({ client_id: '' }), {
      code: 'invalid-request',
      message: 'client_id is required',
    });
    for (const amqp_host of ['evil.example', 'localhost.', 'x@localhost', 'localhost/?heartbeat=0'])
      await assert.rejects(accept({ amqp_host }), {
        code: 'invalid-request',
        message: 'the broker is not allowed',
      });
    await assert.rejects(accept({ amqp_port: 5673 }), { message: 'the broker is not allowed' });
    assert.equal(lines.length, 6);
    const off = start({ hasKey: false });
    await assert.rejects(off.accept(), { code: 'unroutable', message: /CREDENTIALS_PUBLIC_KEY/ });
    assert.deepEqual([sent, off.sent], [[], []]);
  });

  it('does not send the event of a caller that has gone', async () => {
    let leave = () => {};
    let isCancelled = () => false;
    const { accept, parked } = start({
      send(_event, ask) {
        isCancelled = ask;
        leave();
        return new Promise(() => {});
      },
    });
    const accepted = accept({}, (giveUp) => {
      leave = giveUp;
    });
    await assert.rejects(accepted, { code: 'client-gone' });
    assert.equal(isCancelled(), true);
    assert.equal(parked.size(), 0);
  });

  it('tells by its deadline whether the event was sent', async () => {
    const never = new Promise<never>(() => {});
    const unsent = start({ deadlineMs: 5, send: () => never });
    await assert.rejects(unsent.accept(), { code: 'not-accepted' });
    // Its credentials are sealed before it is sent, which takes a while.
    const sent = start({
      deadlineMs: 500,
      send(_event, isCancelled) {
        isCancelled();
        return never;
      },
    });
    await assert.rejects(sent.accept(), { code: 'outcome-unknown' });
  });

  it('seals nothing for a caller past the bound on those that wait', async (t) => {
    const sending = Promise.withResolvers<void>();
    const { accept, inbox } = start({
      maxParked: 1,
      send() {
        sending.resolve();
        return new Promise(() => {});
      },
    });
    const first = accept();
    await sending.promise;
    // Of each thing sealed the key is a new one.
    const { mock } = t.mock.method(crypto.subtle, 'generateKey');
    await assert.rejects(accept(), { code: 'not-accepted' });
    assert.equal(mock.callCount(), 0);
    inbox.shut();
    await assert.rejects(first);
  });

  it('refuses a caller past the bound on those that wait, and all when this instance stops', async () => {
    const sending = Promise.withResolvers<void>();
    const { accept, inbox } = start({
      maxParked: 1,
      send() {
        sending.resolve();
        return new Promise(() => {});
      },
    });
    const first = assert.rejects(accept(), { code: 'not-accepted' });
    await sending.promise;
    await assert.rejects(accept(), { code: 'not-accepted', message: /too many/ });
    inbox.shut();
    await first;
    await assert.rejects(accept(), { code: 'not-accepted', message: 'this instance is stopping' });
  });
});
