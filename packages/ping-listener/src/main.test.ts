import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startService } from '@waybill/test-harness/service.ts';
import {
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from '../../listener/src/listener-bench.fixture.ts';

describe('ping-listener', () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  it('answers a PingRequest with a PingResponse, and exits 0 on SIGTERM', async (t) => {
    const listener = await startService({ name: 'ping-listener', env: { AMQP_URL: bench.broker.url } });
    t.after(() => listener.kill('SIGKILL'));
    await listener.ready();
    const event = makeRequest('', '', { type: 'PingRequest', data: { sentAt: 1 } });
    await bench.send(event);
    const { type, source, data, handledby } = await bench.replyTo(event);
    assert.equal(type, 'PingResponse');
    assert.equal(source, '/waybill/ping');
    assert.equal((data as { sentAt: number }).sentAt, 1);
    assert.match(String(handledby), /^ping\//);
    assert.deepEqual(await listener.stop(), { code: 0, signal: null });
  });
});
