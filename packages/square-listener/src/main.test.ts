import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startService } from '@waybill/test-harness/service.ts';
import {
  createListenerBench,
  type ListenerBench,
  makeRequest,
} from '../../listener/src/listener-bench.fixture.ts';

describe('square-listener', () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  it('answers nimbus.sq with the square, and exits 0 on SIGTERM', async (t) => {
    const listener = await startService({ name: 'square-listener', env: { AMQP_URL: bench.broker.url } });
    t.after(() => listener.kill('SIGKILL'));
    await listener.ready();
    const event = makeRequest('', '', { type: 'nimbus.sq', data: { event_name: 'SQ', number: 12 } });
    await bench.send(event);
    const { type, data, handledby } = await bench.replyTo(event);
    assert.equal(type, 'nimbus.result');
    assert.deepEqual(data, { event_name: 'SQ', number: 12, result: 144 });
    assert.match(String(handledby), /^square\//);
    assert.deepEqual(await listener.stop(), { code: 0, signal: null });
  });
});
