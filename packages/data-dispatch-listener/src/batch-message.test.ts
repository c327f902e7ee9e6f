import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTable } from '../../embedded-broker/src/codec/table.ts';
import { createReader } from '../../embedded-broker/src/codec/wire.ts';
import { toBatchMessage } from './batch-message.ts';

// What amqplib writes tables with; it exports no part of itself.
const codec = new URL('lib/codec.js', import.meta.resolve('amqplib'));
const { encodeTable } = (await import(codec.href)) as {
  encodeTable(buffer: Buffer, table: object, offset: number): number;
};

describe('the message of a batch', () => {
  const stream = {
    id: 'stream',
    client: { client_id: 'user123', queue_name: 'q', amqp_host: 'h', amqp_port: 5672, credentials: 'sealed' },
    dataset: { name: 'test', batchSize: 30 },
    nextIndex: 0,
    acceptedAt: '2026-01-01T00:00:00.000Z',
  };

  it('has an index of 32 bits on the wire, however small', () => {
    for (const index of [0, 200, 40_000]) {
      const batch = { index, isLast: false, base64: Buffer.from('AAAA') };
      const { options } = toBatchMessage(stream, batch, undefined);
      const bytes = Buffer.alloc(1_000);
      encodeTable(bytes, options.headers ?? {}, 0);
      assert.deepEqual(readTable(createReader(bytes)).get('batch_index'), { type: 'I', value: index });
    }
  });
});
