import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { MailboxEntry, Page } from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { createDelivery } from './delivery.ts';
import { createUnwritten, type Unwritten } from './unwritten.ts';

const entry = (offset: number): MailboxEntry => ({
  offset,
  event: { specversion: '1.0', id: `${offset}`, source: '/listener', type: 'PingResponse' },
});

/** The delivery of a mailbox with two entries, of which the first came with the attach. */
function deliver(read: Omit<Page, 'mailbox'>, unwritten: Unwritten = createUnwritten()) {
  const handed: string[] = [];
  const written: (() => void)[] = [];
  const delivery = createDelivery({
    attached: { epoch: 'now', head: 2, trimmed: 0, entries: [entry(1)] },
    take(entry, onWritten) {
      handed.push(entry.token);
      written.push(onWritten);
    },
    unwritten,
    read: async () => ({ mailbox: 'm', ...read }),
    onHanded() {},
  });
  delivery.start();
  return { delivery, handed, written };
}

describe('the delivery of a mailbox', () => {
  for (const { title, epoch } of [
    { title: 'of another epoch', epoch: 'later' },
    { title: 'older than what was handed over', epoch: 'now' },
  ])
    it(`hands over nothing that is ${title}`, async () => {
      const gap = { from: 'now.1', to: `${epoch}.0` };
      const { delivery, handed } = deliver({ epoch, head: 0, trimmed: 0, gap, entries: [] });
      await setImmediate();
      assert.deepEqual(handed, ['now.1']);
      delivery.acknowledge(1);
    });

  it('holds nothing of the page that came with the attach once it is handed over', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const begin = () => {
      const entries = [entry(1)];
      const attached = { epoch: 'now', head: 1, trimmed: 0, entries };
      const take = (_entry: unknown, written: () => void) => written();
      const read = () => Promise.reject(new Error('nothing is read'));
      const delivery = createDelivery({
        ...{ attached, take, read, onHanded() {} },
        unwritten: createUnwritten(),
      });
      delivery.start();
      return { delivery, page: new WeakRef(entries) };
    };
    const { delivery, page } = begin();
    await eventually(() => {
      collectGarbage();
      assert.equal(page.deref(), undefined);
    });
    assert.equal(delivery.handed(), 1);
  });

  it('goes on one by one while other clients do not read', async () => {
    const unwritten = createUnwritten({ maxBytes: 1 });
    unwritten.open().add(1, () => {});
    const page = { epoch: 'now', head: 2, trimmed: 0, entries: [entry(2)] };
    const { handed, written } = deliver(page, unwritten);
    await setImmediate();
    assert.deepEqual(handed, ['now.1']);
    written[0]?.();
    await setImmediate();
    assert.deepEqual(handed, ['now.1', 'now.2']);
  });
});
