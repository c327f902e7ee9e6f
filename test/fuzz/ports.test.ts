import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { type FuzzedSystem, startFuzzedSystem } from './fuzzed-system.ts';
import { fuzz } from './options.ts';
import { exchange, type RawInput } from './raw-connection.ts';

const AT_ONCE = 20;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

const noise = fc.uint8Array({ maxLength: 500 }).map((bytes) => Buffer.from(bytes));
/** An HTTP/2 frame whose length may be a lie (RFC 9113, section 4.1). */
const frame = fc
  .tuple(fc.option(fc.nat(0xffffff)), fc.nat(12), fc.nat(255), fc.nat(5), noise)
  .map(([length, type, flags, stream, payload]) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(length ?? payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  });
const frames = fc.array(frame, { maxLength: 6 });
const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const input: fc.Arbitrary<RawInput> = fc.record({
  bytes: fc.oneof(
    noise,
    frames.map((frames) => Buffer.concat([PREFACE, ...frames])),
    frames.map((frames) => Buffer.concat([PREFACE, settings, ...frames])),
    fc.constant(Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n')),
  ),
  ending: fc.constantFrom('wait', 'end', 'reset'),
});
const inputs = fc.array(input, { minLength: AT_ONCE, maxLength: AT_ONCE });

describe('whatever a stranger sends to', () => {
  let system: FuzzedSystem;
  before(async () => {
    system = await startFuzzedSystem();
  });
  after(() => system?.stop());

  /** Calls `method` with bytes that need be no message; resolves with its gRPC status. */
  async function statusOf(port: number, method: string, message: Buffer): Promise<number> {
    const asIs = (bytes: Buffer) => bytes;
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
    const deadline = Date.now() + 15_000;
    try {
      return await new Promise((resolve) =>
        client.makeUnaryRequest(method, asIs, asIs, message, { deadline }, (error: ServiceError | null) =>
          resolve(error?.code ?? status.OK),
        ),
      );
    } finally {
      client.close();
    }
  }

  const grpcPorts: Record<string, [port: (of: FuzzedSystem) => number, methods: string[]]> = {
    'public-web': [
      ({ grpcPort }) => grpcPort,
      ['data_dispatcher_service.DataDispatcherService/NotifyNewClient'],
    ],
    'dataset-generator': [
      ({ datasetPort }) => datasetPort,
      ['GetDatasetInfo', 'GetBatch', 'StreamBatches'].map((name) => `dataset_service.DatasetService/${name}`),
    ],
  };
  for (const [name, [portOf, methods]] of Object.entries(grpcPorts)) {
    it(`the gRPC port of ${name} leaves it serving`, async () => {
      const port = portOf(system);
      await fc.assert(
        fc.asyncProperty(inputs, async (inputs) => {
          await Promise.all(inputs.map((input) => exchange(port, input)));
          assert.equal(await statusOf(port, '/grpc.health.v1.Health/Check', Buffer.alloc(0)), status.OK);
        }),
        fuzz({ numRuns: 5 }),
      );
    });

    it(`the gRPC methods of ${name} is answered with a status, before the deadline`, async () => {
      const call = fc.tuple(fc.constantFrom(...methods, 'no.Such/Method'), noise);
      await fc.assert(
        fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 5 }), async (calls) => {
          const statuses = await Promise.all(
            calls.map(([method, message]) => statusOf(portOf(system), `/${method}`, message)),
          );
          for (const code of statuses)
            assert(code !== status.DEADLINE_EXCEEDED && code !== status.UNAVAILABLE);
        }),
        fuzz({ numRuns: 20 }),
      );
    });
  }

  it('the TCP stream is ignored: it sends the first batch all the same', async () => {
    await fc.assert(
      fc.asyncProperty(inputs, async (inputs) => {
        await Promise.all(inputs.map((input) => exchange(system.tcpPort, input, { enoughBytes: 1 })));
        const patient = { bytes: Buffer.from('hello\n'), ending: 'wait' } as const;
        const answer = await exchange(system.tcpPort, patient, { isPatient: true, enoughBytes: 1 });
        assert.match(answer.toString(), /^\{"/);
      }),
      fuzz({ numRuns: 5 }),
    );
  });

  it('any HTTP port and leaves half done is closed within 20 s, and every process serves on', async () => {
    const head = 'POST /events HTTP/1.1\r\nhost: x\r\n';
    const halves = ['', 'POST /ev', head, `${head}content-length: 10\r\n\r\n12345`].concat(
      `${head}transfer-encoding: chunked\r\n\r\n5\r\n123`,
      `${head}expect: 100-continue\r\ncontent-length: 10\r\n\r\n`,
    );
    const ports = system.services.flatMap(({ name, port, internalPort, healthPort }) =>
      // That of dataset-generator speaks gRPC.
      name === 'dataset-generator' ? [healthPort] : [port, internalPort, healthPort],
    );
    const open = ports.filter((port) => port !== undefined);
    assert.equal(open.length, 9);
    const answers = await Promise.all(
      open.flatMap((port) =>
        halves.map((half) =>
          exchange(port, { bytes: Buffer.from(half), ending: 'wait' }, { isPatient: true }),
        ),
      ),
    );
    for (const answer of answers) assert.match(answer.toString(), /^$|^HTTP\/1\.1 (100|4\d\d) /);
    await system.answersPing();
    await Promise.all(system.services.map((service) => service.ready()));
  });
});
