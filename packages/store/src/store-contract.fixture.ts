/**
 * What mailboxes, answers and connections of sites must keep on every database, as tests. A test file opens the database and runs them:
 *
 *     storeContract('SQLite', async () => openSqlite(path));
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { ErrorCode } from '@waybill/common/errors.ts';
import { type ClosedFence, MAX_ENDED_CONNECTIONS } from '@waybill/common/internal-call/store-calls.ts';
import { createAnswers } from './answers.ts';
import { createMailboxes, USE_IS_LATE_MS } from './create-mailboxes.ts';
import type { Database, Row } from './database.ts';
import { MAX_CHANGED } from './find-changed.ts';
import { MAX_AT_ONCE } from './forget-old.ts';
import type { Mailboxes, NewEntry, TextPage } from './mailboxes.ts';
import { createMeshConnections, type MeshConnections } from './mesh-connections.ts';
import { migrate } from './migrations.ts';
import { upsert } from './upsert.ts';

const DEADLINE_MS = 1_000;
const RETENTION_MS = 60_000;
const holder = { instance: 'one', url: 'http://127.0.0.1:1/push' };
const other = { instance: 'two', url: 'http://127.0.0.1:2/push' };

/** Defines the tests of the contract. `open` may be called several times, for the same database unless it says otherwise. */
export function storeContract(name: string, open: () => Promise<Database>): void {
  describe(`mailboxes on ${name}`, () => {
    let database: Database;
    let nowMs = 1_000_000;
    let mailboxes: Mailboxes;
    before(async () => {
      database = await open();
      await migrate(database);
      mailboxes = createMailboxes({
        database,
        retentionMs: RETENTION_MS,
        maxEntries: 4,
        maxFences: 4,
        heardWithinMs: 0,
        nowMs: () => nowMs,
      });
    });
    after(() => database.close());

    const attach = (client: string, options: { after?: string; holder?: typeof holder } = {}) =>
      mailboxes.attach({ owner: '', client, holder, deadlineMs: DEADLINE_MS, ...options });
    const detach = (...fences: ClosedFence[]) => mailboxes.detach({ fences, deadlineMs: DEADLINE_MS });
    const append = (mailbox: string, fence: number, ...ns: number[]) =>
      mailboxes.append(ns.map((n) => newEntry(mailbox, fence, n)));
    const refusal = (code: ErrorCode) => (error: { code?: string }) => error.code === code;

    it('gives replies offsets in the order of their requests, whatever order they come in', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      await append(mailbox, fence, 2, 0);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [`${fence}.0`]);
      const [result] = await append(mailbox, fence, 1);
      assert.deepEqual(result, {
        outcome: 'appended',
        push: { holder, mailbox, epoch, head: 3, offset: 2, bytes: result?.push?.bytes },
      });
      const page = await mailboxes.read({ mailbox });
      assert.deepEqual(eventsOf(page), [`${fence}.0`, `${fence}.1`, `${fence}.2`]);
      assert.deepEqual(
        page.entries.map(({ offset }) => offset),
        [1, 2, 3],
      );
    });

    it('tells nobody of a reply that waits for others', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      assert.deepEqual(await append(mailbox, fence, 1), [{ outcome: 'appended' }]);
    });

    it('keeps a reply that is appended again once, in one batch and in a later one, and tells the holder again', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      const [first, second] = await append(mailbox, fence, 0, 0);
      assert.equal(first?.outcome, 'appended');
      assert.equal(second?.outcome, 'repeated');
      const [third] = await append(mailbox, fence, 0);
      assert.deepEqual(third, {
        outcome: 'repeated',
        push: { holder, mailbox, epoch, head: 1, offset: undefined, bytes: first?.push?.bytes },
      });
      assert.equal((await mailboxes.read({ mailbox })).entries.length, 1);
    });

    it('says gone for a mailbox that there is not, without harm to its neighbours', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      const results = await mailboxes.append([
        newEntry(randomKey(), 1, 0),
        newEntry(mailbox, fence, 0),
        newEntry(mailbox, 99, 0),
      ]);
      assert.deepEqual(
        results.map(({ outcome }) => outcome),
        ['gone', 'appended', 'repeated'],
      );
    });

    it('goes on after a token, and removes what it acknowledges', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      await append(mailbox, fence, 0, 1, 2);
      const page = await mailboxes.read({ mailbox, after: `${epoch}.2` });
      assert.deepEqual(eventsOf(page), [`${fence}.2`]);
      assert.equal(page.trimmed, 2);
      assert.equal(page.gap, undefined);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [`${fence}.2`]);
    });

    it('says what is missing to a token older than what is kept, or of another epoch', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      await append(mailbox, fence, 0, 1, 2);
      await mailboxes.acknowledge([{ mailbox, after: `${epoch}.2` }]);
      const old = await mailboxes.read({ mailbox, after: `${epoch}.1` });
      assert.deepEqual(old.gap, { from: `${epoch}.1`, to: `${epoch}.2` });
      assert.deepEqual(eventsOf(old), [`${fence}.2`]);
      for (const foreign of ['0.2', `${epoch}.4`]) {
        const page = await mailboxes.read({ mailbox, after: foreign });
        assert.deepEqual(page.gap, { from: foreign, to: `${epoch}.2` });
        assert.deepEqual(eventsOf(page), [`${fence}.2`]);
      }
      await assert.rejects(mailboxes.read({ mailbox, after: 'x' }), refusal('invalid-request'));
    });

    it('pushes to the instance that attached last, and tells it whom it replaces', async () => {
      const client = randomUUID();
      const first = await attach(client);
      const second = await attach(client, { holder: other });
      assert.equal(second.mailbox, first.mailbox);
      assert.ok(second.fence > first.fence);
      assert.deepEqual(second.previous, holder);
      const [result] = await append(first.mailbox, first.fence, 0);
      assert.deepEqual(result?.push?.holder, other);
    });

    it('has what comes after a takeover wait for what was asked before it, until the holder before says how much that is', async () => {
      const client = randomUUID();
      const first = await attach(client);
      const { mailbox } = first;
      const second = await attach(client, { holder: other });
      await append(mailbox, second.fence, 0);
      await append(mailbox, first.fence, 1);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), []);
      await detach({ mailbox, fence: first.fence, lastN: 1 });
      await append(mailbox, first.fence, 0);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [
        `${first.fence}.0`,
        `${first.fence}.1`,
        `${second.fence}.0`,
      ]);
    });

    it('fills what a holder that died leaves open with problems, one deadline after it was replaced', async () => {
      const client = randomUUID();
      const first = await attach(client);
      const { mailbox } = first;
      const second = await attach(client);
      await append(mailbox, first.fence, 1);
      await append(mailbox, second.fence, 0);
      nowMs += DEADLINE_MS;
      const { entries } = await mailboxes.read({ mailbox });
      const [filled, ...rest] = entries.map(({ event }) => JSON.parse(event));
      assert.equal(filled.type, 'waybill.Problem');
      assert.equal(filled.data.code, 'outcome-unknown');
      assert.equal(filled.correlationid, `${mailbox}.${first.fence}.0`);
      assert.deepEqual(
        rest.map(({ id }) => id),
        [`${first.fence}.1`, `${second.fence}.0`],
      );
      const [late] = await append(mailbox, first.fence, 0);
      assert.equal(late?.outcome, 'repeated');
    });

    it('fills what has no reply, to the last, of a holder that could not be heard for all its time', async () => {
      const client = randomUUID();
      const clocks = { nowMs: () => nowMs, monotonicMs: () => nowMs };
      const options = { database, retentionMs: RETENTION_MS, ...clocks };
      const first = await attach(client);
      const { mailbox } = first;
      const second = await attach(client);
      await append(mailbox, first.fence, 0);
      await append(mailbox, second.fence, 0);
      const stayed = createMailboxes(options);
      nowMs += 60_000;
      await stayed.changes();
      // Nothing is asked meanwhile, as the database is away: of this process, nor of one that is new then.
      nowMs += 60_000;
      for (const back of [stayed, createMailboxes(options)])
        assert.deepEqual(eventsOf(await back.read({ mailbox })), [`${first.fence}.0`]);
      await detach({ mailbox, fence: first.fence, lastN: 2 });
      const { entries } = await mailboxes.read({ mailbox });
      const read = entries.map(({ event }) => JSON.parse(event));
      assert.deepEqual(
        read.map(({ id, correlationid, type }) => (type === 'waybill.Problem' ? correlationid : id)),
        [
          `${first.fence}.0`,
          `${mailbox}.${first.fence}.1`,
          `${mailbox}.${first.fence}.2`,
          `${second.fence}.0`,
        ],
      );
    });

    it('waits for nobody who has not come again some seconds after the database is back', async () => {
      const client = randomUUID();
      const { mailbox } = await attach(client);
      const second = await attach(client);
      await append(mailbox, second.fence, 0);
      nowMs += DEADLINE_MS;
      const clocks = { nowMs: () => nowMs, monotonicMs: () => nowMs };
      const back = createMailboxes({ database, retentionMs: RETENTION_MS, ...clocks });
      for (let calls = 0; calls < 5; calls += 1, nowMs += 1_000)
        assert.deepEqual(eventsOf(await back.read({ mailbox })), []);
      assert.deepEqual(eventsOf(await back.read({ mailbox })), [`${second.fence}.0`]);
    });

    it('fills what is missing before a reply that is due, also of a holder that was killed and that nobody replaces', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      await mailboxes.append([{ ...newEntry(mailbox, fence, 1), dueMs: nowMs + DEADLINE_MS }]);
      await append(mailbox, fence, 2);
      const looking = { instance: holder.instance, mailboxes: [{ mailbox, fence }] };
      assert.equal((await mailboxes.look(looking))[0]?.head, 0);
      nowMs += DEADLINE_MS;
      assert.equal((await mailboxes.look(looking))[0]?.head, 3);
      const { entries } = await mailboxes.read({ mailbox });
      assert.equal(JSON.parse(entries[0]?.event ?? '').data.code, 'outcome-unknown');
      assert.deepEqual(
        entries.slice(1).map(({ event }) => JSON.parse(event).id),
        [`${fence}.1`, `${fence}.2`],
      );
    });

    it('says to those that look where their mailboxes stand, and keeps them from being forgotten', async () => {
      const client = randomUUID();
      const first = await attach(client);
      const { mailbox, fence, epoch } = first;
      await append(mailbox, fence, 0, 1, 3);
      await mailboxes.acknowledge([{ mailbox, after: `${epoch}.1` }]);
      const unknown = { mailbox: randomKey(), fence: 1 };
      const look = (instance: string) =>
        mailboxes.look({ instance, mailboxes: [{ mailbox, fence }, unknown] });
      const [found, ...others] = await look(holder.instance);
      assert.deepEqual(others, []);
      const { bytes, ...position } = found ?? {};
      assert.deepEqual(position, {
        ...{ mailbox, epoch, head: 2, trimmed: 1, nextN: 2 },
        ...{ isHeld: true, isAtRest: false },
      });
      assert.ok(Number(bytes) > 0);
      nowMs += RETENTION_MS + 1;
      await look(holder.instance);
      await mailboxes.forgetOld();
      assert.equal((await look(other.instance))[0]?.isHeld, false);
      await attach(client, { holder: other });
      assert.equal((await look(holder.instance))[0]?.isHeld, false);
      assert.deepEqual(await mailboxes.look({ instance: holder.instance, mailboxes: [] }), []);
    });

    it('tells which mailboxes have changed, by whomever, and which are at rest', async () => {
      const client = randomUUID();
      const [{ mailbox, fence }, idle] = [await attach(client), await attach(randomUUID())];
      let { asOf } = await mailboxes.changes();
      const changed = async () => {
        const found = await mailboxes.changes(asOf);
        nowMs += database.seenWithinMs + 1;
        ({ asOf } = await mailboxes.changes());
        return [idle.mailbox, mailbox].map((each) => found.mailboxes?.includes(each));
      };
      const isAtRest = async () => {
        const asked = [{ mailbox, fence }];
        return (await mailboxes.look({ instance: holder.instance, mailboxes: asked }))[0]?.isAtRest;
      };
      assert.deepEqual([await isAtRest(), await changed()], [true, [true, true]]);
      assert.deepEqual(await changed(), [false, false]);
      await append(mailbox, fence, 1);
      assert.deepEqual([await isAtRest(), await changed()], [false, [false, true]]);
      await append(mailbox, fence, 0);
      assert.deepEqual([await isAtRest(), await changed()], [true, [false, true]]);
      const { fence: reserved } = await mailboxes.reserve({
        owner: '',
        client,
        count: 1,
        deadlineMs: DEADLINE_MS,
      });
      assert.deepEqual([await isAtRest(), await changed()], [false, [false, true]]);
      await append(mailbox, reserved, 0);
      assert.deepEqual([await isAtRest(), await changed()], [true, [false, true]]);
      nowMs += RETENTION_MS;
      assert.deepEqual([await isAtRest(), await changed()], [true, [false, false]]);
      await attach(client, { holder: other });
      assert.deepEqual(await changed(), [false, true]);
    });

    it('cannot tell what has changed since it was started, nor when that is too much', async () => {
      const { asOf } = await mailboxes.changes();
      assert.deepEqual((await mailboxes.changes(asOf)).mailboxes?.slice(0, 0), []);
      const restarted = createMailboxes({ database, retentionMs: RETENTION_MS, nowMs: () => nowMs });
      assert.equal((await restarted.changes(asOf)).mailboxes, undefined);
      const owner = randomUUID();
      const same = { owner, epoch: '0', fence: 0, head: 0, trimmed: 0, entries: 0, bytes: 0, used_ms: 0 };
      const rows = Array.from({ length: MAX_CHANGED + 1 }, () => {
        const id = randomKey();
        return { ...same, id, client: id, changed_ms: nowMs };
      });
      await database.transaction((sql) => upsert(sql, 'mailboxes', ['id'], rows));
      assert.equal((await mailboxes.changes(asOf)).mailboxes, undefined);
      await mailboxes.forgetOld();
    });

    it('leaves out what its holder has attached once more, also when that fence is over', async () => {
      const client = randomUUID();
      const { mailbox, fence } = await attach(client);
      const look = async (fence: number) => {
        const found = await mailboxes.look({ instance: holder.instance, mailboxes: [{ mailbox, fence }] });
        return found.map(({ isHeld }) => isHeld);
      };
      const again = await attach(client);
      assert.deepEqual([await look(fence), await look(again.fence)], [[], [true]]);
      nowMs += DEADLINE_MS;
      assert.deepEqual([await look(fence), await look(again.fence)], [[], [true]]);
      await detach({ mailbox, fence: again.fence, lastN: -1 });
      assert.deepEqual(await look(again.fence), []);
    });

    it('reads beyond an offset without acknowledging anything', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      await append(mailbox, fence, 0, 1, 2);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox, beyond: 2 })), [`${fence}.2`]);
      assert.equal((await mailboxes.read({ mailbox })).entries.length, 3);
      await mailboxes.acknowledge([{ mailbox, after: `${epoch}.2` }]);
      const { gap, entries } = await mailboxes.read({ mailbox, beyond: 1 });
      assert.deepEqual(gap, { from: `${epoch}.1`, to: `${epoch}.2` });
      assert.equal(entries.length, 1);
    });

    it('fills more at once than fits one statement', async () => {
      const client = randomUUID();
      const { mailbox, fence } = await attach(client);
      await append(mailbox, fence, 9_999);
      await attach(client);
      nowMs += DEADLINE_MS;
      assert.equal((await mailboxes.read({ mailbox })).head, 10_000);
    });

    it('writes nothing when a mailbox that is in use is read again', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      await append(mailbox, fence, 0);
      const statements: string[] = [];
      const recording: Database = {
        ...database,
        transaction: (work) =>
          database.transaction((sql) =>
            work((text, params) => {
              statements.push(text);
              return sql(text, params);
            }),
          ),
      };
      const reader = createMailboxes({ database: recording, retentionMs: RETENTION_MS, nowMs: () => nowMs });
      assert.equal((await reader.read({ mailbox })).entries.length, 1);
      assert.deepEqual(
        statements.filter((text) => !text.startsWith('SELECT')),
        [],
      );
    });

    it('has nobody as the holder after a detach, but not after one that comes late', async () => {
      const client = randomUUID();
      const first = await attach(client);
      const second = await attach(client, { holder: other });
      const { mailbox } = first;
      await detach({ mailbox, fence: first.fence, lastN: -1 });
      const [told] = await append(mailbox, second.fence, 0);
      assert.deepEqual(told?.push?.holder, other);
      await detach({ mailbox, fence: second.fence, lastN: 1 });
      assert.deepEqual(await append(mailbox, second.fence, 1), [{ outcome: 'appended' }]);
      assert.equal((await mailboxes.read({ mailbox })).head, 2);
    });

    it('has a call that is repeated attach or reserve once, under its id', async () => {
      const client = randomUUID();
      const id = randomUUID();
      const call = { owner: '', client, deadlineMs: DEADLINE_MS, id };
      const { mailbox, fence } = await mailboxes.attach({ ...call, holder });
      assert.equal((await mailboxes.attach({ ...call, holder })).fence, fence);
      const reserving = { ...call, id: randomUUID(), count: 1 };
      const reserved = await mailboxes.reserve(reserving);
      assert.deepEqual(await mailboxes.reserve(reserving), reserved);
      await append(mailbox, reserved.fence, 0);
      await append(mailbox, fence, 0);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [`${reserved.fence}.0`, `${fence}.0`]);
    });

    it('fills what was reserved for one event and has no reply with a problem that names it', async () => {
      const client = randomUUID();
      const eventId = 'order 7';
      const options = { owner: '', client, count: 1, deadlineMs: DEADLINE_MS, eventId };
      const { mailbox, fence } = await mailboxes.reserve(options);
      nowMs += DEADLINE_MS;
      const [entry] = (await mailboxes.read({ mailbox })).entries;
      const { correlationid, data } = JSON.parse(entry?.event ?? '{}');
      assert.equal(correlationid, `${mailbox}.${fence}.0.order%207`);
      assert.deepEqual([data.code, data.event_id], ['outcome-unknown', eventId]);
    });

    it('closes what a call has got that its caller never heard of, so that it holds nothing back', async () => {
      const client = randomUUID();
      const call = { owner: '', client, deadlineMs: DEADLINE_MS };
      const [given, posted] = [randomUUID(), randomUUID()];
      const before = await attach(client);
      const { mailbox } = before;
      await mailboxes.attach({ ...call, holder: other, id: given });
      await mailboxes.reserve({ ...call, count: 1, id: posted });
      const after = await attach(client);
      await append(mailbox, after.fence, 0);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), []);
      await detach(
        { mailbox, fence: before.fence, lastN: -1 },
        { ...call, id: given },
        { ...call, id: posted },
        { ...call, id: randomUUID() },
        { ...call, client: randomUUID(), id: given },
      );
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [`${after.fence}.0`]);
    });

    it('says of a mailbox that nobody holds any more that it is lost, and not that it was taken over', async () => {
      const client = randomUUID();
      const { mailbox, fence } = await attach(client);
      const id = randomUUID();
      await mailboxes.attach({ owner: '', client, holder: other, deadlineMs: DEADLINE_MS, id });
      const look = () => mailboxes.look({ instance: holder.instance, mailboxes: [{ mailbox, fence }] });
      assert.deepEqual(
        (await look()).map(({ isHeld }) => isHeld),
        [false],
      );
      await detach({ owner: '', client, id });
      assert.deepEqual(await look(), []);
    });

    it('reserves slots in the order of the calls, beside an open fence, until the mailbox is full', async () => {
      const client = randomUUID();
      const name = { owner: '', client, deadlineMs: DEADLINE_MS };
      const held = await attach(client);
      const first = await mailboxes.reserve({ ...name, count: 2 });
      const second = await mailboxes.reserve({ ...name, count: 1 });
      const { mailbox } = first;
      await append(mailbox, second.fence, 0);
      await append(mailbox, held.fence, 0);
      await append(mailbox, first.fence, 1, 0);
      assert.deepEqual(eventsOf(await mailboxes.read({ mailbox })), [
        `${held.fence}.0`,
        `${first.fence}.0`,
        `${first.fence}.1`,
        `${second.fence}.0`,
      ]);
      await assert.rejects(mailboxes.reserve({ ...name, count: 1 }), refusal('mailbox-full'));
      await mailboxes.acknowledge([{ mailbox, after: `${held.epoch}.1` }]);
      await mailboxes.reserve({ ...name, count: 1 });
    });

    it('reserves no more while too many events wait for their results', async () => {
      const name = { owner: '', client: randomUUID(), deadlineMs: DEADLINE_MS };
      const reserve = (id = randomUUID()) => mailboxes.reserve({ ...name, id, count: 1 });
      const id = randomUUID();
      const { mailbox, fence } = await reserve(id);
      for (let n = 1; n < 4; n += 1) await reserve();
      await assert.rejects(reserve(), refusal('mailbox-full'));
      assert.deepEqual(await reserve(id), { mailbox, fence });
      await append(mailbox, fence, 0);
      await reserve();
    });

    it('keeps the mailboxes of one client id apart by their owners', async () => {
      const client = randomUUID();
      const mine = await attach(client);
      const theirs = await mailboxes.attach({ owner: 'key', client, holder, deadlineMs: DEADLINE_MS });
      assert.notEqual(theirs.mailbox, mine.mailbox);
      await assert.rejects(mailboxes.read({ owner: 'another', client }), refusal('not-found'));
    });

    it('reads a page at a time', async () => {
      const { mailbox, fence, epoch } = await attach(randomUUID());
      const large = 'x'.repeat(300 * 1024);
      await mailboxes.append([0, 1, 2].map((n) => newEntry(mailbox, fence, n, large)));
      const first = await mailboxes.read({ mailbox });
      assert.equal(first.entries.length, 1);
      assert.equal(first.head, 3);
      const next = await mailboxes.read({ mailbox, after: `${epoch}.1` });
      assert.deepEqual(
        next.entries.map(({ offset }) => offset),
        [2],
      );
    });

    it('forgets entries after a while, and a mailbox that nobody uses, whose offsets then begin in another epoch', async () => {
      const client = randomUUID();
      const { mailbox, fence, epoch } = await attach(client);
      await append(mailbox, fence, 0);
      nowMs += RETENTION_MS / 2;
      await append(mailbox, fence, 1);
      nowMs += RETENTION_MS / 2 + 1;
      await mailboxes.forgetOld();
      const page = await mailboxes.read({ mailbox, after: `${epoch}.0` });
      assert.deepEqual(eventsOf(page), [`${fence}.1`]);
      assert.deepEqual(page.gap, { from: `${epoch}.0`, to: `${epoch}.1` });
      nowMs += RETENTION_MS + USE_IS_LATE_MS + 1;
      const { mailboxes: removed } = await mailboxes.forgetOld();
      assert.ok(removed >= 1);
      await assert.rejects(mailboxes.read({ mailbox }), refusal('not-found'));
      assert.notEqual((await attach(client)).epoch, epoch);
    });

    it('forgets all that is too old, however much it is, but nothing more once it is to stop', async () => {
      const count = 2 * MAX_AT_ONCE + 1;
      await database.transaction(async (sql) => {
        const ids = Array.from({ length: count }, randomKey);
        const entries = ids.map((id) => oldEntry(id));
        await upsert(sql, 'mailboxes', ['id'], ids.map(unusedMailbox));
        await upsert(sql, 'entries', ['mailbox', 'fence', 'n'], entries);
      });
      nowMs += RETENTION_MS + 1;
      assert.deepEqual(await mailboxes.forgetOld(() => true), { entries: 0, mailboxes: 0 });
      const removed = await mailboxes.forgetOld();
      assert.ok(removed.entries >= count && removed.mailboxes >= count, JSON.stringify(removed));
      assert.deepEqual(await mailboxes.forgetOld(), { entries: 0, mailboxes: 0 });
    });

    it('is trimmed of a few entries at once, so that nobody waits for long', async () => {
      const id = randomKey();
      const old = Array.from({ length: 2 * MAX_AT_ONCE }, (_, n) => oldEntry(id, n));
      await database.transaction(async (sql) => {
        await upsert(sql, 'mailboxes', ['id'], [{ ...unusedMailbox(id), used_ms: nowMs }]);
        await upsert(sql, 'entries', ['mailbox', 'fence', 'n'], old);
      });
      let transactions = 0;
      const isStopping = () => ++transactions > 1;
      assert.equal((await mailboxes.forgetOld(isStopping)).entries, MAX_AT_ONCE);
      assert.equal((await mailboxes.read({ mailbox: id })).trimmed, MAX_AT_ONCE);
    });

    it('is migrated again without a change, and refuses a database of a later version', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      await append(mailbox, fence, 0);
      await Promise.all([migrate(database), migrate(database)]);
      assert.equal((await mailboxes.read({ mailbox })).entries.length, 1);
      await database.transaction((sql) => sql('UPDATE schema_version SET version = version + 1'));
      await assert.rejects(migrate(database), refusal('invalid-config'));
      await database.transaction((sql) => sql('UPDATE schema_version SET version = version - 1'));
    });

    it('undoes a transaction that fails, and goes on', async () => {
      const { mailbox } = await attach(randomUUID());
      await assert.rejects(
        database.transaction(async (sql) => {
          await sql('DELETE FROM mailboxes');
          throw new Error('no');
        }),
        /no/,
      );
      assert.equal((await mailboxes.read({ mailbox })).head, 0);
    });

    it('loses and doubles nothing when many append to one mailbox at once', async () => {
      const { mailbox, fence } = await attach(randomUUID());
      const twice = Array.from({ length: 40 }, (_, index) => index % 20);
      const results = await Promise.all(twice.map((n) => append(mailbox, fence, n)));
      const appended = results.flat().filter(({ outcome }) => outcome === 'appended');
      assert.equal(appended.length, 20);
      assert.deepEqual(
        eventsOf(await mailboxes.read({ mailbox })),
        Array.from({ length: 20 }, (_, n) => `${fence}.${n}`),
      );
    });
  });

  describe(`answers on ${name}`, () => {
    let database: Database;
    let nowMs = 1_000_000;
    before(async () => {
      database = await open();
      await migrate(database);
    });
    after(() => database.close());
    const answers = () => createAnswers({ database, retentionMs: RETENTION_MS, nowMs: () => nowMs });

    it('are pending, then there, and stay as they are', async () => {
      const id = randomKey();
      assert.deepEqual(await answers().read(id), { state: 'pending' });
      assert.deepEqual(await answers().keep([{ id, event: '{"n":1}' }]), [{ outcome: 'appended' }]);
      assert.deepEqual(await answers().keep([{ id, event: '{"n":2}' }]), [{ outcome: 'repeated' }]);
      assert.deepEqual(await answers().read(id), { state: 'answered', event: '{"n":1}' });
    });

    it('are told to the instance that asked last while they were pending', async () => {
      const id = randomKey();
      await answers().read(id, holder);
      await answers().read(id, other);
      const push = { holder: other, mailbox: id, epoch: '', head: 1, offset: 1 };
      assert.deepEqual(await answers().keep([{ id, event: '{}' }]), [{ outcome: 'appended', push }]);
      assert.deepEqual(await answers().keep([{ id, event: '{}' }]), [{ outcome: 'repeated', push }]);
    });

    it('are not kept once they are cancelled, before and after they came', async () => {
      const [early, late] = [randomKey(), randomKey()];
      await answers().cancel(early);
      assert.deepEqual(await answers().keep([{ id: early, event: '{}' }]), [{ outcome: 'gone' }]);
      await answers().keep([{ id: late, event: '{}' }]);
      await answers().cancel(late);
      for (const id of [early, late]) assert.deepEqual(await answers().read(id), { state: 'cancelled' });
    });

    it('are kept together, each by itself, and the first of several to one request', async () => {
      const [one, two, there, cancelled, asked] = Array.from({ length: 5 }, randomKey) as [
        string,
        ...string[],
      ];
      await answers().keep([{ id: there as string, event: '{"n":0}' }]);
      await answers().cancel(cancelled as string);
      await answers().read(asked as string, holder);
      const ids = [two, one, there, cancelled, asked, one, cancelled, asked] as string[];
      const push = { holder, mailbox: asked, epoch: '', head: 1, offset: 1 };
      assert.deepEqual(await answers().keep(ids.map((id, n) => ({ id, event: `{"n":${n + 1}}` }))), [
        { outcome: 'appended' },
        { outcome: 'appended' },
        { outcome: 'repeated' },
        { outcome: 'gone' },
        { outcome: 'appended', push },
        { outcome: 'repeated' },
        { outcome: 'gone' },
        { outcome: 'repeated', push },
      ]);
      for (const [id, n] of Object.entries({ [two as string]: 1, [one]: 2, [there as string]: 0 }))
        assert.deepEqual(await answers().read(id), { state: 'answered', event: `{"n":${n}}` });
      assert.deepEqual(await answers().keep([]), []);
    });

    it('are forgotten after a while', async () => {
      const id = randomKey();
      await answers().keep([{ id, event: '{}' }]);
      nowMs += RETENTION_MS + 1;
      assert.ok((await answers().forgetOld()) >= 1);
      assert.deepEqual(await answers().read(id), { state: 'pending' });
    });

    it('are kept for the whole while from when they came, however long they were asked for before', async () => {
      const id = randomKey();
      await answers().read(id, holder);
      nowMs += RETENTION_MS;
      await answers().keep([{ id, event: '{}' }]);
      nowMs += RETENTION_MS;
      await answers().forgetOld();
      assert.deepEqual(await answers().read(id), { state: 'answered', event: '{}' });
    });

    it('are all forgotten, however many, but for those that are left when it is to stop', async () => {
      await answers().forgetOld();
      const expired = () => ({ id: randomKey(), event: '{}', is_cancelled: 0, expires_ms: 0 });
      const rows = Array.from({ length: 3 * MAX_AT_ONCE + 1 }, expired);
      await database.transaction((sql) => upsert(sql, 'answers', ['id'], rows));
      let asked = 0;
      const isStopping = () => ++asked > 1;
      assert.equal(await answers().forgetOld(isStopping), MAX_AT_ONCE);
      assert.equal(await answers().forgetOld(), 2 * MAX_AT_ONCE + 1);
    });
  });

  describe(`connections of sites on ${name}`, () => {
    let database: Database;
    let connections: MeshConnections;
    before(async () => {
      database = await open();
      await migrate(database);
      connections = createMeshConnections({ database });
    });
    after(() => database.close());
    const save = (site: string, id: string, record: string, isEnded = false) =>
      connections.save({ site, id, isEnded, record });

    it('are listed as they were saved last, the oldest first, each site its own', async () => {
      const site = randomUUID();
      assert.deepEqual(await connections.list(site), []);
      await save(site, 'b', '1');
      await save(site, 'a', '2');
      await save('other', 'b', '3');
      await save(site, 'b', '4');
      assert.deepEqual(await connections.list(site), ['4', '2']);
    });

    it('that have ended stay so, whatever comes late', async () => {
      const site = randomUUID();
      await save(site, 'a', 'ended', true);
      await save(site, 'a', 'active');
      await save(site, 'a', 'ended later', true);
      assert.deepEqual(await connections.list(site), ['ended later']);
    });

    it('are forgotten when too many have ended, the oldest first, and never while they are active', async () => {
      const site = randomUUID();
      await save(site, 'active', 'active');
      for (let n = 0; n <= MAX_ENDED_CONNECTIONS; n += 1) await save(site, `${n}`, `${n}`, true);
      const records = await connections.list(site);
      assert.deepEqual([records.length, ...records.slice(0, 2)], [MAX_ENDED_CONNECTIONS + 1, 'active', '1']);
    });

    it('are forgotten one by one, however many end at the same time', async () => {
      const site = randomUUID();
      const end = (id: string) => save(site, id, id, true);
      for (let n = 0; n < MAX_ENDED_CONNECTIONS; n += 10)
        await Promise.all(Array.from({ length: 10 }, (_, index) => end(`${n + index}`)));
      for (let n = 0; n < 30; n += 1) {
        await end(`last ${n}`);
        assert.equal((await connections.list(site)).length, MAX_ENDED_CONNECTIONS);
      }
    });
  });
}

/** Its event's id says its slot. */
function newEntry(mailbox: string, fence: number, n: number, data?: string): NewEntry {
  const event = JSON.stringify({ id: `${fence}.${n}`, data });
  return { mailbox, fence, n, event, bytes: event.length };
}

function unusedMailbox(id: string): Row {
  return {
    id,
    owner: id,
    client: '',
    epoch: '',
    fence: 1,
    head: 1,
    trimmed: 0,
    entries: 1,
    bytes: 2,
    used_ms: 0,
  };
}

function oldEntry(mailbox: string, n = 0): Row {
  return { mailbox, fence: 1, n, position: n + 1, event: '{}', bytes: 2, added_ms: n };
}

function eventsOf({ entries }: TextPage): string[] {
  return entries.map(({ event }) => JSON.parse(event).id);
}

function randomKey(): string {
  return randomBytes(16).toString('base64url');
}
