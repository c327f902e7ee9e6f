import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { AppError } from '@waybill/common/errors.ts';
import type { DatasetServiceHandlers } from '@waybill/common/grpc/generated/dataset_service/DatasetService.ts';
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { createAuthority, type KeyPair, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { pino } from 'pino';
import { createDatasetSource } from './dataset-source.ts';

const authority = createAuthority();
trust(authority);
const pair = authority.issue({ names: ['localhost'] });

const GetBatch: DatasetServiceHandlers['GetBatch'] = (_call, callback) =>
  callback(null, { data: Buffer.from('samples'), is_last_batch: true });

/** Reads a batch of a service with `tls`, at `https://localhost:<port>` or what `addressOf` makes of the port. */
async function read(t: TestContext, tls: KeyPair, addressOf = (port: number) => `https://localhost:${port}`) {
  const server = await createGrpcServer({
    services: [
      {
        definition: loadProto('dataset_service.proto'),
        name: 'dataset_service.DatasetService',
        implementation: { GetBatch },
      },
    ],
    host: 'localhost',
    port: 0,
    tls,
    isServing: () => true,
    maxReceiveBytes: 1_024,
    log: pino({ level: 'silent' }),
  });
  const source = createDatasetSource({ address: addressOf(server.port), maxRetries: 0 });
  t.after(async () => {
    source.close();
    await server.close();
  });
  return await source.reader({ name: 'test', batchSize: 1 })(0, t.signal);
}

describe('a dataset service with TLS', () => {
  it('is read from', async (t) => {
    const { base64 } = await read(t, pair);
    assert.equal(Buffer.from(base64.toString(), 'base64').toString(), 'samples');
  });

  it('is not read from in plaintext', async (t) => {
    await assert.rejects(
      read(t, pair, (port) => `localhost:${port}`),
      { code: 'dataset-unavailable' },
    );
  });

  for (const { why, pair: refused, reason } of refusedPairs(authority))
    it(`is not read from when it shows a certificate ${why}`, async (t) => {
      await assert.rejects(read(t, refused), ({ code, cause }: AppError) => {
        assert.equal(code, 'dataset-unavailable');
        assert.match(String(cause), reason);
        return true;
      });
    });
});
