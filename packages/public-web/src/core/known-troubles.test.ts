import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TroublesAnswer, TroublesQuestion } from '@waybill/common/internal-call/troubles.ts';
import { pino } from 'pino';
import { createKnownTroubles } from './known-troubles.ts';

const WELL: TroublesAnswer = { undeclared: [], idle: [] };

/** One whose dispatchers answer `answers`, one after the other. */
function start(...answers: (TroublesAnswer | undefined)[]) {
  const lines: Record<string, unknown>[] = [];
  const questions: TroublesQuestion[] = [];
  const troubles = createKnownTroubles({
    async ask(question) {
      questions.push(question);
      return answers.shift();
    },
    replyAddress: () => 'address',
    publicTypes: ['PingRequest', 'Order.*'],
    isPublicType: (type) => type === 'PingRequest' || type.startsWith('Order.'),
    log: pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
  return { ...troubles, questions, messages: () => lines.map(({ msg }) => msg), lines };
}

test('an instance that cannot be called back twice in a row is not ready, says why once, and recovers', async () => {
  const refused = { ...WELL, callback: 'connect ECONNREFUSED 10.0.3.7:8081' };
  const { look, readiness, explain, messages, lines } = start(refused, refused, refused, WELL);
  assert.equal(await look(), false);
  assert.equal(readiness(), undefined);
  await look();
  await look();
  assert.equal(readiness(), 'replies cannot be delivered to this instance (setting INTERNAL_URL)');
  assert.equal(explain('PingRequest'), '; replies are not delivered to this instance');
  assert.deepEqual(messages(), [readiness()]);
  assert.equal(lines[0]?.reason, refused.callback);
  assert.equal(await look(), true);
  assert.equal(readiness(), undefined);
  assert.equal(explain('PingRequest'), '');
});

test('a reply that comes in proves more than a call that did not', async () => {
  const slow = { ...WELL, callback: 'no answer within 1000 ms' };
  const { look, readiness, reached } = start(slow, slow, slow);
  await look();
  reached();
  await look();
  assert.equal(readiness(), undefined);
  await look();
  assert.notEqual(readiness(), undefined);
  reached();
  assert.equal(readiness(), undefined);
});

test('of a dispatcher that does not answer, or does not know the question, nothing is known', async () => {
  const { look, readiness, messages } = start(undefined, undefined);
  assert.equal(await look(), false);
  assert.equal(await look(), false);
  assert.equal(readiness(), undefined);
  assert.deepEqual(messages(), []);
});

test('a service that has answered is asked for, and named with its types when nobody consumes its queue', async () => {
  const idle = { ...WELL, idle: ['ping'] };
  const { look, learn, explain, questions, lines, messages } = start(WELL, idle, idle, WELL);
  await look();
  learn('PingRequest', 'ping/instance-1');
  learn('Order.Place', undefined);
  assert.equal(await look(), false);
  await look();
  assert.deepEqual(questions.map(({ services }) => services).slice(0, 2), [[], ['ping']]);
  assert.match(explain('PingRequest'), /^; nobody has consumed waybill\.ping since 2\S+Z at the latest$/);
  assert.equal(explain('Order.Place'), '');
  assert.equal(lines.length, 1);
  assert.deepEqual([lines[0]?.service, lines[0]?.types], ['ping', ['PingRequest']]);
  assert.equal(await look(), true);
  assert.equal(explain('PingRequest'), '');
  assert.equal(messages().at(-1), 'a service consumes again');
});

test('a type that clients may send and no listener takes is named once; patterns are not asked for', async () => {
  const undeclared = { ...WELL, undeclared: ['PingRequest'] };
  const { look, questions, lines } = start(undeclared, undeclared);
  await look();
  await look();
  assert.deepEqual(questions[0]?.types, ['PingRequest']);
  assert.deepEqual(
    lines.map(({ msg, event_type }) => [msg, event_type]),
    [['clients may send a type that no listener takes', 'PingRequest']],
  );
});

test('a service that has not answered here is named all the same where a dispatcher knows of it', async () => {
  const answerers = { PingRequest: ['ping'], 'Order.Place': ['orders'], Internal: ['audit'] };
  const idle = { ...WELL, answerers, idle: ['orders'] };
  const { look, explain, questions, lines } = start({ ...WELL, answerers }, idle);
  assert.equal(await look(), false);
  await look();
  assert.deepEqual(
    questions.map(({ services, wantsAnswerers }) => [services, wantsAnswerers]),
    [
      [[], true],
      [['ping', 'orders'], true],
    ],
  );
  assert.match(explain('Order.Place'), /^; nobody has consumed waybill\.orders since 2\S+Z at the latest$/);
  assert.deepEqual(
    lines.map(({ service }) => service),
    ['orders'],
  );
});

test('a service that is idle is named only where no other answers its type', async () => {
  const answerers = { 'Order.Place': ['orders', 'shop'], 'Order.Find': ['orders'] };
  const retired = { ...WELL, answerers: { 'Order.Place': ['orders', 'shop'] }, idle: ['orders'] };
  const missed = { ...WELL, answerers, idle: ['orders'] };
  const { look, explain, lines } = start(retired, retired, missed, missed, {
    ...missed,
    idle: ['shop', 'orders'],
  });
  await look();
  assert.equal(await look(), true);
  assert.deepEqual([explain('Order.Place'), lines], ['', []]);
  await look();
  assert.equal(await look(), false);
  assert.equal(explain('Order.Place'), '');
  assert.match(explain('Order.Find'), /^; nobody has consumed waybill\.orders since 2\S+Z at the latest$/);
  await look();
  assert.match(
    explain('Order.Place'),
    /^; nobody has consumed waybill\.orders, waybill\.shop since 2\S+Z at the latest$/,
  );
});
