import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect, type Options } from 'amqplib';
import { loadPackage } from '../../packages/common/src/grpc/proto.ts';

const STREAM = 'a7b0a6a4-6f3e-4a0e-9a64-6f3a4a0e9a64';
const TRACE = 'c'.repeat(32);

describe('dataset-client', () => {
  let broker: TestBroker;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    model = await connect(defaultVhost(broker));
    channel = await model.createChannel();
  });
  after(async () => {
    await model.close();
    await broker.close();
  });

  /** Notifies a stand-in that answers OK and then sends `batches`. */
  async function receive(t: TestContext, batches: BatchOptions[], ...options: string[]) {
    const client = `c-${randomUUID()}`;
    const url = await serve(t, (request) => {
      for (const batch of batches) publish(request.client_id, request.queue_name, batch);
      return { status: 'OK', message: 'Client processing started' };
    });
    const outcome = await run(t, ['--url', url, '--client', client, ...options]).ended;
    return { ...outcome, client, queue: `${client}-data-queue` };
  }

  function run(t: TestContext, args: string[], env: Record<string, string> = {}) {
    const child = spawn(process.execPath, ['bin/dataset-client.mjs', ...args], {
      env: { ...bareEnvironment(), AMQP_URL: defaultVhost(broker), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]).then(
      ([[code], stdout, stderr]) => ({ code, stdout, stderr }),
    );
    return { child, ended };
  }

  function publish(client: string, queue: string, batch: BatchOptions): void {
    const { body, options } = toMessage(client, batch);
    channel.publish('', queue, body, options);
  }

  async function exists(queue: string): Promise<boolean> {
    const probe = await model.createChannel();
    probe.on('error', () => {});
    return probe.checkQueue(queue).then(
      () => true,
      () => false,
    );
  }

  it('takes a whole dataset from its queue, says how it was, and removes the queue', async (t) => {
    const { code, stdout, stderr, queue } = await receive(t, complete(5));
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, new RegExp(`^notified .* of c-.*, queue ${queue}: Client processing started$`, 'm'));
    assert.match(stdout, new RegExp(`^stream {4}${STREAM}$`, 'm'));
    assert.match(stdout, /^batches {3}5, in order, the last one flagged$/m);
    assert.match(stdout, /^data {6}0\.0 MB \(40 bytes\)$/m);
    assert.match(stdout, /^rate {6}[\d.]+ batches\/s, [\d.]+ MB\/s over [\d.]+ s$/m);
    assert.match(stdout, /^repeated {2}0$/m);
    assert.match(stdout, new RegExp(`^trace id: ${TRACE}$`, 'm'));
    assert.doesNotMatch(stdout, /guest/);
    assert.equal(await exists(queue), false);
  });

  it('counts batches that came again with the same bytes', async (t) => {
    const { code, stdout } = await receive(t, [
      { index: 0 },
      { index: 1 },
      { index: 0 },
      ...complete(4).slice(1),
    ]);
    assert.equal(code, 0);
    assert.match(stdout, /^batches {3}4,/m);
    assert.match(stdout, /^repeated {2}2, each with the same bytes$/m);
  });

  it('keeps other streams apart and leaves a queue that was there before', async (t) => {
    const client = `c-${randomUUID()}`;
    const queue = `${client}-data-queue`;
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-max-length': 1000 } });
    t.after(() => channel.deleteQueue(queue));
    publish(client, queue, { index: 0, streamId: 'earlier' });
    publish(client, queue, { index: 1, streamId: 'earlier' });
    await channel.checkQueue(queue);
    const url = await serve(t, () => {
      const [first, ...rest] = complete(3);
      const all = [first, { index: 2, streamId: 'earlier' }, ...rest] as BatchOptions[];
      for (const batch of all) publish(client, queue, batch);
      return { status: 'OK', message: '' };
    });
    const { code, stdout } = await run(t, ['--url', url, '--client', client]).ended;
    assert.equal(code, 0);
    assert.match(stdout, /^batches {3}3,/m);
    assert.match(stdout, /^others {4}messages of other streams: earlier \(3\)$/m);
    assert.equal(await exists(queue), true);
  });

  it('keeps the queue on --keep', async (t) => {
    const { code, queue } = await receive(t, complete(1), '--keep');
    assert.equal(code, 0);
    assert.equal(await exists(queue), true);
    await channel.deleteQueue(queue);
  });

  const faults: [string, BatchOptions[], RegExp][] = [
    ['a gap', [{ index: 0 }, { index: 2 }], /^batch 2 came when batch 1 was due$/],
    ['a wrong order', [{ index: 0 }, { index: 2 }, { index: 1 }], /^batch 2 came when batch 1 was due$/],
    [
      'a repetition with other bytes',
      [{ index: 0 }, { index: 0, data: 'other' }],
      /^batch 0 came again with other bytes$/,
    ],
    [
      'a repetition that is the last one',
      [{ index: 0 }, { index: 0, isLast: true }],
      /^batch 0 was not the last one when/,
    ],
    ['no data', [{ index: 0, data: '' }], /^batch 0 carries no data$/],
    ['what is not base64', [{ index: 0, body: { data: 'äöü?' } }], /^the data of batch 0 is not base64$/],
    [
      'a negative index',
      [{ index: 0 }, { index: -1 }],
      /^a batch has the index -1, which is no whole number/,
    ],
    [
      'another client',
      [{ index: 0, body: { client_id: 'other' } }],
      /^batch 0 is not as promised: client_id is "other"/,
    ],
    [
      'a header unlike the body',
      [{ index: 0, headers: { is_last_batch: true } }],
      /: is_last_batch is false and should be true$/,
    ],
    [
      'what does not survive a restart',
      [{ index: 0, options: { persistent: false } }],
      /: its delivery mode is 1 and should be 2$/,
    ],
  ];
  for (const [what, batches, message] of faults) {
    it(`exits 1 with one line at ${what}`, async (t) => {
      const { code, stderr, queue } = await receive(t, batches);
      assert.equal(code, 1);
      assert.match(stderr.trimEnd(), message);
      assert.equal(stderr.split('\n').length, 2);
      assert.equal(await exists(queue), false);
    });
  }

  it('says after which batch nothing came any more', async (t) => {
    const { code, stderr } = await receive(t, [{ index: 0 }, { index: 1 }], '--timeout', '1');
    assert.equal(code, 1);
    assert.match(stderr, /^nothing came for 1 s after batch 1; the log of data-dispatch-listener .*\n$/);
  });

  it('says that there are fewer batches than there must be', async (t) => {
    const { code, stderr } = await receive(t, complete(3), '--batches', '4');
    assert.deepEqual(
      { code, stderr },
      { code: 1, stderr: 'the last batch is 2, so there are 3 and not 4\n' },
    );
  });

  it('says that its queue was deleted', async (t) => {
    const url = await serve(t, ({ queue_name }) => {
      void channel.deleteQueue(queue_name);
      return { status: 'OK', message: '' };
    });
    const { code, stderr } = await run(t, ['--url', url, '--client', `c-${randomUUID()}`]).ended;
    assert.equal(code, 1);
    assert.match(stderr, /^queue c-.*-data-queue was deleted while its batches were awaited\n$/);
  });

  it('repeats the reason of an answer that is no OK, and leaves no queue', async (t) => {
    const client = `c-${randomUUID()}`;
    const url = await serve(t, () => ({ status: 'ERROR', message: 'queue_name is required' }));
    const { code, stderr } = await run(t, ['--url', url, '--client', client]).ended;
    assert.deepEqual(
      { code, stderr },
      { code: 1, stderr: `${url} answered ERROR: queue_name is required\n` },
    );
    assert.equal(await exists(`${client}-data-queue`), false);
  });

  it('notifies over HTTP and knows its stream by the answer', async (t) => {
    const client = `c-${randomUUID()}`;
    const url = await serveHttp(t, (request) => {
      publish(client, request.queue_name, { index: 0, streamId: 'other' });
      for (const batch of complete(2)) publish(client, request.queue_name, batch);
      return 202;
    });
    const { code, stdout, stderr } = await run(t, ['--http', url, '--client', client]).ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
    assert.match(stdout, /^others {4}messages of other streams: other \(1\)$/m);

    const refusing = await serveHttp(t, () => 400);
    const refused = await run(t, ['--http', refusing, '--client', client]).ended;
    assert.equal(refused.code, 1);
    assert.equal(refused.stderr, `${refusing}/clients answered 400 Bad: the host is not allowed\n`);
  });

  it('removes its queue on Ctrl-C', async (t) => {
    const client = `c-${randomUUID()}`;
    const url = await serve(t, () => ({ status: 'OK', message: '' }));
    const { child, ended } = run(t, ['--url', url, '--client', client]);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.deepEqual({ code, stderr }, { code: 1, stderr: 'interrupted\n' });
    assert.equal(await exists(`${client}-data-queue`), false);
  });

  it('tells each way in which it cannot begin in one line, and never the password', async (t) => {
    const port = await freePort();
    const client = ['--client', `c-${randomUUID()}`];
    await expectFailure(
      t,
      ['--url', `127.0.0.1:${port}`, ...client],
      new RegExp(`^nothing answers at 127.0.0.1:${port}: is Waybill`),
    );
    await expectFailure(
      t,
      ['--http', `http://127.0.0.1:${port}`],
      /^nothing listens at .*\/clients: is Waybill running\?$/,
    );
    await expectFailure(
      t,
      ['--amqp', `amqp://u:canary@127.0.0.1:${port}`],
      /^no broker listens at 127.0.0.1:\d+: name one with --amqp$/,
    );
    await expectFailure(t, ['--amqp', 'http://u:canary@127.0.0.1'], /^the broker's URL .* is not amqp:/);
    await expectFailure(t, ['--broker', 'here'], /^--broker must be host:port and is here$/);
    await expectFailure(t, ['--timeout', '0'], /^--timeout must be a whole number from 1 up and is 0$/);
    await expectFailure(t, ['--nope'], /^Unknown option '--nope'; see --help$/);
    const wrong = new URL(defaultVhost(broker));
    wrong.password = 'canary';
    const refused = /^the broker at .* refuses user guest: is the password right\?$/;
    await expectFailure(t, ['--amqp', wrong.href], refused);
  });

  async function expectFailure(t: TestContext, args: string[], message: RegExp): Promise<void> {
    const { code, stdout, stderr } = await run(t, args).ended;
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
    assert.match(stderr.trimEnd(), message);
    assert.equal(stderr.split('\n').length, 2);
    assert.doesNotMatch(stderr, /canary/);
  }
});

type NewClientRequest = { client_id: string; queue_name: string };
type Answer = { status: string; message: string };

async function serve(t: TestContext, answer: (request: NewClientRequest) => Answer): Promise<string> {
  const { data_dispatcher_service } = loadPackage('data_dispatcher_service.proto');
  const server = new Server();
  server.addService(data_dispatcher_service.DataDispatcherService.service, {
    NotifyNewClient: (call: { request: NewClientRequest }, callback: (error: null, answer: Answer) => void) =>
      callback(null, answer(call.request)),
  });
  t.after(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return `127.0.0.1:${port}`;
}

async function serveHttp(t: TestContext, answer: (request: NewClientRequest) => number): Promise<string> {
  const server = createServer(async (request, response) => {
    assert.equal(request.url, '/clients');
    response.statusCode = answer(JSON.parse(await text(request)));
    const problem = { title: 'Bad', detail: 'the host is not allowed' };
    response.end(JSON.stringify(response.statusCode === 202 ? { stream_id: STREAM } : problem));
  }).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

type BatchOptions = {
  index: number;
  isLast?: boolean;
  data?: string;
  streamId?: string;
  /** Instead of what belongs there. */
  body?: Record<string, unknown>;
  headers?: Record<string, unknown>;
  options?: Options.Publish;
};

function complete(count: number): BatchOptions[] {
  return Array.from({ length: count }, (_, index) => ({ index, isLast: index === count - 1 }));
}

function toMessage(client: string, batch: BatchOptions): { body: Buffer; options: Options.Publish } {
  const { index, isLast = false, data = `batch  ${index}`, streamId = STREAM } = batch;
  const shared = { client_id: client, batch_index: index, is_last_batch: isLast };
  const encoded = Buffer.from(data).toString('base64');
  const body = { ...shared, data: encoded, timestamp: new Date().toISOString(), ...batch.body };
  const traceparent = `00-${TRACE}-${'b'.repeat(16)}-01`;
  return {
    body: Buffer.from(JSON.stringify(body)),
    options: {
      persistent: true,
      contentType: 'application/json',
      timestamp: 1_700_000_000,
      headers: { ...shared, stream_id: streamId, traceparent, ...batch.headers },
      ...batch.options,
    },
  };
}

/** Waybill knows no other virtual host towards clients. */
function defaultVhost({ url }: TestBroker): string {
  const copy = new URL(url);
  copy.pathname = '';
  return copy.href;
}
