import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createAnswerCheck, type Message } from './answer-check.ts';

const pong = (requestid: number, token?: string): Message => ({
  type: 'PingResponse',
  requestid: `${requestid}`,
  token,
});

function wrongOf(messages: Message[]): number {
  const check = createAnswerCheck('c');
  for (const message of messages) check.take(message);
  return check.wrong.length;
}

it('finds nothing wrong with results in order, each at the next offset of the mailbox', () => {
  const check = createAnswerCheck('c');
  for (const message of [pong(0, 'e.7'), pong(1, 'e.8'), pong(3, 'e.9')]) check.take(message);
  assert.deepEqual(check.wrong, []);
  assert.deepEqual(check.told, [0, 1, 3]);
  assert.equal(check.token(), 'e.9');
});

it('asks for no tokens of a client without a mailbox', () => {
  assert.equal(wrongOf([pong(0), pong(1)]), 0);
});

it('finds what comes twice, out of order, or behind a gap', () => {
  assert.equal(wrongOf([pong(0, 'e.1'), pong(0, 'e.2')]), 1);
  assert.equal(wrongOf([pong(1, 'e.1'), pong(0, 'e.2')]), 1);
  assert.equal(wrongOf([pong(0, 'e.1'), pong(1, 'e.3')]), 1);
  assert.equal(wrongOf([pong(0, 'e.2'), pong(1, 'e.2')]), 1);
});

it('finds problems and gaps, and says what they were', () => {
  const check = createAnswerCheck('c');
  check.take({ type: 'waybill.Problem', requestid: '0', token: 'e.1', data: { status: 504 } });
  check.take({ type: 'waybill.Gap', token: 'f.3' });
  assert.match(check.wrong[0] ?? '', /^c after : .*"status":504/);
  assert.match(check.wrong[1] ?? '', /^c after e\.1: .*waybill\.Gap/);
});
