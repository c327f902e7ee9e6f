import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import {
  Client,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type MethodDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import { pino } from 'pino';
import { createGrpcServer, type GrpcServer } from './grpc-server.ts';
import { loadProto } from './proto.ts';

const SERVICE = 'dataset_service.DatasetService';
const MAX_RECEIVE_BYTES = 1024;

type Reply = { error: ServiceError | null; response: Record<string, unknown> };
type Callback = (error: Partial<ServiceError> | null, response?: object) => void;
type HealthMethod = MethodDefinition<object, { status: string }>;
type UnaryCall = { request: { dataset_name: string } };

const Check = healthService.Check as HealthMethod;
const Watch = healthService.Watch as HealthMethod;

describe('the gRPC server', () => {
  it('serves the service', async (t) => {
    const { client } = await start(t, {
      GetDatasetInfo: ({ request }: UnaryCall, callback: Callback) => callback(null, request),
    });
    const { response } = await call(client, 'GetDatasetInfo', { dataset_name: 'x' });
    assert.equal(response.dataset_name, 'x');
  });

  it('answers a handler that throws or rejects with INTERNAL, and tells nothing of what it threw', async (t) => {
    const { client } = await start(t, {
      GetBatch() {
        throw new Error('secret');
      },
      GetDatasetInfo: async () => Promise.reject(new Error('secret')),
      StreamBatches: async () => Promise.reject(new Error('secret')),
    });
    for (const method of ['GetBatch', 'GetDatasetInfo']) {
      const { error } = await call(client, method, {});
      assert.equal(error?.code, status.INTERNAL);
      assert.doesNotMatch(String(error?.details), /secret/);
    }
    const stream = openStream(client, 'StreamBatches', {});
    const [error] = await once(stream.resume(), 'error');
    assert.equal(error.code, status.INTERNAL);
    assert.doesNotMatch(error.details, /secret/);
  });

  it('keeps the answer of a handler that fails after it', async (t) => {
    const { client } = await start(t, {
      async GetDatasetInfo(_call: unknown, callback: Callback) {
        callback(null, { total_samples: 1 });
        throw new Error('late');
      },
    });
    assert.equal((await call(client, 'GetDatasetInfo', {})).response.total_samples, 1);
  });

  it('refuses a request above the limit', async (t) => {
    const { client } = await start(t, {
      GetDatasetInfo: (_call: unknown, callback: Callback) => callback({}),
    });
    const { error } = await call(client, 'GetDatasetInfo', { dataset_name: 'x'.repeat(MAX_RECEIVE_BYTES) });
    assert.equal(error?.code, status.RESOURCE_EXHAUSTED);
  });

  it('tells the health of the server and of the service, as it is', async (t) => {
    let isServing = false;
    const { port } = await start(t, {}, { isServing: () => isServing });
    const health = connect(t, port, Client);
    const statuses = health.makeServerStreamRequest(
      Watch.path,
      Watch.requestSerialize,
      Watch.responseDeserialize,
      { service: SERVICE },
    );
    statuses.on('error', () => {});
    t.after(() => statuses.cancel());
    assert.deepEqual(await nextData(statuses), { status: 'NOT_SERVING' });
    isServing = true;
    assert.deepEqual(await nextData(statuses), { status: 'SERVING' });
    for (const service of ['', SERVICE]) assert.equal(await check(health, service), 'SERVING');
    await assert.rejects(check(health, 'another'), { code: status.NOT_FOUND });
  });

  it('is not kept from closing by one who watches its health', async (t) => {
    const { port, server } = await start(t, {});
    const statuses = connect(t, port, Client).makeServerStreamRequest(
      Watch.path,
      Watch.requestSerialize,
      Watch.responseDeserialize,
      { service: '' },
    );
    await nextData(statuses);
    const told = nextData(statuses);
    const ended = once(statuses as NodeJS.EventEmitter, 'end');
    const closed = server.close(60_000);
    assert.deepEqual(await told, { status: 'NOT_SERVING' });
    await ended;
    await closed;
  });

  for (const version of ['v1', 'v1alpha']) {
    it(`lists all its services by reflection ${version}`, async (t) => {
      const { port } = await start(t, {});
      const { list_services_response } = await reflect(t, { port, version }, { list_services: '*' });
      const names = list_services_response.service.map(({ name }) => name);
      assert.deepEqual(names.sort(), [
        SERVICE,
        'grpc.health.v1.Health',
        'grpc.reflection.v1.ServerReflection',
        'grpc.reflection.v1alpha.ServerReflection',
      ]);
    });

    for (const [name, method, answer] of [
      [SERVICE, 'HealthCheck', { status: 'fine' }],
      ['grpc.health.v1.Health', 'Check', { status: 'SERVING' }],
    ] as const)
      it(`answers ${name}/${method} to a client that knows reflection ${version} alone`, async (t) => {
        const { port } = await start(t, {
          HealthCheck: (_call: unknown, callback: Callback) => callback(null, { status: 'fine' }),
        });
        const question = { file_containing_symbol: name };
        const { file_descriptor_response } = await reflect(t, { port, version }, question);
        const definition = toDefinition(file_descriptor_response.file_descriptor_proto);
        const client = connect(t, port, clientOf(definition, name.split('.')));
        const { response } = await call(client, method, {});
        assert.equal(response.status, answer.status);
      });
  }

  it('keeps a connection on which as many calls are given up as there may be at once, and then some', async (t) => {
    const { port } = await start(t, {}, { maxConcurrentStreams: 1_000 });
    const session = await giveUpCalls(t, { port, rounds: 14 });
    await new Promise<void>((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve())),
    );
  });

  it('ends a connection on which calls are started to be given up', async (t) => {
    const { port } = await start(t, {});
    const session = await giveUpCalls(t, { port, rounds: 50 });
    assert.ok(session.destroyed, 'it is open');
  });

  it('rejects with the code, the address and the port when the port is taken', async (t) => {
    const { port } = await start(t, {});
    await assert.rejects(start(t, {}, { port }), { code: 'EADDRINUSE', address: '127.0.0.1', port });
  });

  it('answers a call under way before it closes, and takes no more', async (t) => {
    const { promise: entered, resolve: enter } = Promise.withResolvers<Callback>();
    const { client, server, port } = await start(t, {
      GetDatasetInfo: (_call: unknown, callback: Callback) => enter(callback),
    });
    const reply = call(client, 'GetDatasetInfo', {});
    const answer = await entered;
    const closed = server.close(60_000);
    const late = await call(connect(t, port, datasetClient), 'GetDatasetInfo', {});
    assert.equal(late.error?.code, status.UNAVAILABLE);
    answer(null, { total_samples: 7 });
    assert.equal((await reply).response.total_samples, 7);
    await closed;
  });

  it('cuts off at the deadline a call that is never answered', async (t) => {
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const { client, server } = await start(t, { GetDatasetInfo: () => enter() });
    const reply = call(client, 'GetDatasetInfo', {});
    await entered;
    await server.close(1);
    assert.notEqual((await reply).error, null);
  });
});

const datasetClient = clientOf(loadProto('dataset_service.proto'), ['dataset_service', 'DatasetService']);

async function start(
  t: TestContext,
  implementation: object,
  options: { isServing?: () => boolean; port?: number; maxConcurrentStreams?: number } = {},
): Promise<{ server: GrpcServer; port: number; client: Client }> {
  const server = await createGrpcServer({
    services: [
      {
        definition: loadProto('dataset_service.proto'),
        name: SERVICE,
        implementation: implementation as UntypedServiceImplementation,
      },
    ],
    host: '127.0.0.1',
    port: 0,
    isServing: () => true,
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    log: pino({ level: 'silent' }),
    ...options,
  });
  t.after(() => server.close(0));
  return { server, port: server.port, client: connect(t, server.port, datasetClient) };
}

/** A connection on which rounds of a hundred calls were started and given up at once, until it ended. */
async function giveUpCalls(
  t: TestContext,
  { port, rounds }: { port: number; rounds: number },
): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  session.on('error', () => {});
  await once(session, 'remoteSettings');
  const headers = {
    ':method': 'POST',
    ':path': `/${SERVICE}/GetBatch`,
    'content-type': 'application/grpc',
    te: 'trailers',
  };
  for (let round = 0; round < rounds && !session.destroyed; round += 1) {
    const ends = Array.from({ length: 100 }, () => {
      const stream = session.request(headers);
      stream.on('error', () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      return new Promise((resolve) => stream.once('close', resolve));
    });
    await Promise.all(ends);
  }
  return session;
}

function connect(
  t: TestContext,
  port: number,
  Constructor: ServiceClientConstructor | typeof Client,
): Client {
  const client = new Constructor(`127.0.0.1:${port}`, credentials.createInsecure());
  t.after(() => client.close());
  return client;
}

function call(client: Client, method: string, request: object): Promise<Reply> {
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const invoke = Reflect.get(client, method) as (request: object, callback: unknown) => void;
  invoke.call(client, request, (error: ServiceError | null, response: Reply['response']) =>
    resolve({ error, response }),
  );
  return promise;
}

function openStream(client: Client, method: string, request: object) {
  return Reflect.get(client, method).call(client, request);
}

function openDuplex(client: Client, method: string) {
  return Reflect.get(client, method).call(client);
}

async function nextData(stream: NodeJS.EventEmitter): Promise<unknown> {
  const [data] = await once(stream, 'data');
  return data;
}

function check(client: Client, service: string): Promise<string> {
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      Check.path,
      Check.requestSerialize,
      Check.responseDeserialize,
      { service },
      (error, response) => (error ? reject(error) : resolve(response?.status ?? '')),
    ),
  );
}

function loadReflection(version: string): ServiceClientConstructor {
  const library = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const file = join(library, `build/proto/grpc/reflection/${version}/reflection.proto`);
  return clientOf(loadSync(file, { keepCase: true }), ['grpc', 'reflection', version, 'ServerReflection']);
}

type Reflection = {
  list_services_response: { service: { name: string }[] };
  file_descriptor_response: { file_descriptor_proto: Buffer[] };
};

/** One question, and what is answered to it. */
async function reflect(
  t: TestContext,
  { port, version }: { port: number; version: string },
  question: object,
): Promise<Reflection> {
  const stream = openDuplex(connect(t, port, loadReflection(version)), 'ServerReflectionInfo');
  stream.on('error', () => {});
  t.after(() => stream.cancel());
  stream.write(question);
  return (await nextData(stream)) as Reflection;
}

/** Of files as reflection sends them: a FileDescriptorSet has them, one after the other, in its field 1. */
function toDefinition(files: Buffer[]): Parameters<typeof loadPackageDefinition>[0] {
  const set = files.flatMap((file) => [Buffer.from([0x0a, ...toVarint(file.length)]), file]);
  return loadFileDescriptorSetFromBuffer(Buffer.concat(set), { enums: String });
}

function toVarint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...toVarint(value >>> 7)];
}

function clientOf(definition: Parameters<typeof loadPackageDefinition>[0], path: string[]) {
  let found: unknown = loadPackageDefinition(definition);
  for (const name of path) found = (found as GrpcObject)[name];
  return found as ServiceClientConstructor;
}
