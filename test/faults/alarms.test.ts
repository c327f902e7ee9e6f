import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { findRabbitmq, type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { type Answer, ask, median, quantile } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

type Command = [string, ...string[]];

/** How each is raised and ended; the last is what the tests' broker has (`disk_free_limit.absolute`). */
const ALARMS: Record<string, { raise: Command; end: Command }> = {
  memory: {
    raise: ['set_vm_memory_high_watermark', '0'],
    end: ['set_vm_memory_high_watermark', '0.4'],
  },
  disk: { raise: ['set_disk_free_limit', '900000GB'], end: ['set_disk_free_limit', '1MB'] },
};

const WAITING = 10;
const CAUGHT_S = 20;
const REFUSED = 200;
/** The promise, for most; on a busy machine single ones may take longer, but none as long as a confirm that does not come. */
const REFUSAL_MS = 50;
const SLOW_REFUSAL_MS = 1_000;

describe('while the broker blocks publishers', { skip: findRabbitmq() ? false : 'needs RabbitMQ' }, () => {
  let rabbitmq: Rabbitmq;
  let tiers: Tiers;
  let web: Service;
  let dispatcher: Service;
  let listener: Service;
  let folder: string;
  let recordings = 0;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-alarms-'));
    rabbitmq = await startRabbitmq();
    tiers = await createTiers(rabbitmq.url);
    dispatcher = await tiers.startDispatcher();
    web = await tiers.startPublicWeb({ DEADLINE_MS: '90000' });
    listener = await startListener();
  });
  after(async () => {
    await tiers?.stopAll();
    await rabbitmq?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const fileOf = (recording: number) => join(folder, `ran-${recording}.txt`);
  const startListener = () => {
    recordings += 1;
    const main = 'test/faults/recording-listener.ts';
    return tiers.start({ name: 'ping-listener', main, args: [fileOf(recordings)] });
  };
  /** The ids of what handlers have started on, at all listeners there were. */
  const ran = () =>
    Array.from({ length: recordings }, (_, index) => fileOf(index + 1))
      .flatMap((file) => (existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []))
      .map((line) => line.split(' ')[0]);

  for (const [name, { raise, end }] of Object.entries(ALARMS))
    it(`for a ${name} alarm, clients are told so at once, consumers go on, and it ends without a restart`, async (t) => {
      assert.equal((await ask(web)).status, 200);
      await tiers.stop(listener);
      const ids = Array.from({ length: WAITING }, () => randomUUID());
      const waiting = ids.map((id) => ask(web, { id }));
      await Promise.all(ids.map((id) => isPublished(dispatcher, id)));
      await rabbitmq.ctl(...raise);

      // Written to the broker before it says that it blocks, as a rule: nobody knows.
      const caughtId = randomUUID();
      const caught = ask(web, { id: caughtId, waitS: CAUGHT_S });
      const refused = await refusals(web);
      const waits = refused.map(({ waitMs }) => waitMs);
      t.diagnostic(
        `${name} alarm: 503 after ${median(waits).toFixed(1)} ms, p99 ${quantile(waits, 0.99).toFixed(1)} ms`,
      );
      assert.ok(median(waits) <= REFUSAL_MS && quantile(waits, 0.99) <= SLOW_REFUSAL_MS);
      assert.deepEqual([...new Set(refused.map(({ status }) => status))], [503]);

      listener = await startListener();
      await eventually(() =>
        assert.deepEqual(
          ids.filter((id) => !ran().includes(id)),
          [],
        ),
      );
      await rabbitmq.ctl(...end);
      assert.deepEqual(await statusesOf(waiting), [200]);
      const { status } = await caught;
      assert.ok([200, 503, 504].includes(status), `${status}`);
      await eventually(async () => assert.equal((await ask(web)).status, 200));
      const neverRun = refused.map(({ id }) => id);
      // The dispatcher may have been told by then, when it had published before by itself.
      if (status === 503) neverRun.push(caughtId);
      assert.deepEqual(
        neverRun.filter((id) => ran().includes(id)),
        [],
      );
    });
});

async function isPublished({ waitForLog }: Service, id: string): Promise<void> {
  await waitForLog(({ msg, event_id }) => msg === 'event published' && event_id === id);
}

/** What clients are told once the dispatcher knows of the alarm. */
async function refusals(web: Service): Promise<(Answer & { id: string })[]> {
  // The broker says so only to who publishes: what it has been handed by then is waited for until its deadline.
  await eventually(async () => assert.equal((await ask(web, { waitS: 1 })).status, 503));
  const answers = [];
  for (let sent = 0; sent < REFUSED; sent += 1) {
    const id = randomUUID();
    answers.push({ id, ...(await ask(web, { id })) });
  }
  return answers;
}

async function statusesOf(asked: Promise<Answer>[]): Promise<number[]> {
  return [...new Set((await Promise.all(asked)).map(({ status }) => status))];
}
