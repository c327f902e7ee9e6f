import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { REPLIES_EXCHANGE } from '@waybill/common/broker/amqp-topology.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { startLoad } from '../e2e/load.ts';
import { createTiers, type Tiers } from './tiers.ts';

const CONCURRENCY = 4;
const TIMES = 5;
/** The promise is 100 ms for the channel. What else the machine does can only delay it, so the best time is what counts. */
const NEW_CHANNEL_MS = 250;
/** None waits for a confirm that does not come, 5 s. */
const ANY_NEW_CHANNEL_MS = 4_000;

describe('a publish that makes the broker close the channel (404)', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let web: Service;
  let listener: Service;
  let model: ChannelModel;
  let channel: Channel;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    await tiers.startDispatcher();
    listener = await tiers.start({ name: 'ping-listener' });
    web = await tiers.startPublicWeb();
    model = await connect(broker.url);
    channel = await model.createChannel();
  });
  after(async () => {
    await model?.close();
    await tiers?.stopAll();
    await broker?.close();
  });

  const isFailure = ({ msg }: LogLine) => msg === 'publishing channel failed';
  const failures = () => listener.logs.filter(isFailure).length;

  it('fails no request: what it carried is published again on a new channel, soon', async (t) => {
    const load = startLoad({ urls: [web.baseUrl], concurrency: CONCURRENCY });
    t.after(load.stop);
    const pauses: number[] = [];
    for (let time = 1; time <= TIMES; time += 1) {
      const [answered, failed] = [load.answered(), failures()];
      await eventually(() => assert.ok(load.answered() > answered));
      await channel.deleteExchange(REPLIES_EXCHANGE);
      await eventually(() => assert.ok(failures() > failed));
      await eventually(() => assert.ok(repliedAfterFailure(listener) !== undefined));
      pauses.push(repliedAfterFailure(listener) as number);
    }
    assert.deepEqual((await load.stop()).failures, []);
    t.diagnostic(`the next confirmed reply after ${pauses} ms`);
    assert.ok(Math.min(...pauses) <= NEW_CHANNEL_MS);
    assert.ok(Math.max(...pauses) <= ANY_NEW_CHANNEL_MS);
    await broker.emptied();
  });

  /** From the last failure of the channel to the first reply that was confirmed after it, in milliseconds. */
  function repliedAfterFailure({ logs }: Service): number | undefined {
    const failure = logs.findLastIndex(isFailure);
    const reply = logs
      .slice(failure)
      .find(({ msg, outcome }) => msg === 'event handled' && outcome === 'handled');
    return reply && Number(reply.time) - Number(logs[failure]?.time);
  }
});
