import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toNewClient } from './new-client.ts';

const client = {
  client_id: 'user123',
  queue_name: 'user123-data-queue',
  amqp_host: 'localhost',
  amqp_port: 5673,
  amqp_user: 'guest',
  amqp_pass: 'canary-password',
};

function faultOf(value: unknown): string {
  try {
    toNewClient(value);
  } catch (error) {
    assert.equal((error as { code: string }).code, 'invalid-request');
    const { message } = error as Error;
    assert.ok(!message.includes('canary'), message);
    return message;
  }
  return assert.fail(`${JSON.stringify(value)} was taken`);
}

describe('toNewClient', () => {
  it('takes the six fields and nothing else', () => {
    assert.deepEqual(toNewClient({ ...client, more: 1, stream_id: 'x' }), client);
  });

  it('takes a port of 0, or none, for 5672', () => {
    for (const amqp_port of [0, undefined, null])
      assert.equal(toNewClient({ ...client, amqp_port }).amqp_port, 5672);
  });

  it('names the first required field that is missing, in the order of the contract', () => {
    const rest: Record<string, unknown> = { ...client };
    const empty = {};
    assert.equal(faultOf(empty), 'client_id is required');
    for (const name of ['client_id', 'queue_name', 'amqp_host', 'amqp_user', 'amqp_pass'])
      for (const value of ['', undefined, null])
        assert.equal(faultOf({ ...rest, [name]: value }), `${name} is required`);
  });

  it('takes names of 1 to 128 letters, digits and _ . : - only', () => {
    for (const name of ['x', 'a.b:c-d_E9', 'n'.repeat(128)])
      assert.equal(toNewClient({ ...client, client_id: name, queue_name: name }).queue_name, name);
    for (const name of ['canary queue', 'ä', 'a/b', 'a\n', 'n'.repeat(129), 'n'.repeat(300), 7, ['x'], {}]) {
      assert.equal(faultOf({ ...client, client_id: name }), 'client_id must match ^[\\w.:-]{1,128}$');
      assert.equal(faultOf({ ...client, queue_name: name }), 'queue_name must match ^[\\w.:-]{1,128}$');
    }
  });

  it("refuses the names of the broker's own queues and of this system's", () => {
    assert.equal(faultOf({ ...client, queue_name: 'amq.x' }), 'queue_name must not start with amq.');
    const own = { ...client, queue_name: 'waybill.ping-listener' };
    assert.equal(faultOf(own), 'queue_name must not start with waybill.');
    assert.ok(toNewClient({ ...client, queue_name: 'amqx', client_id: 'waybill.x' }));
  });

  it('refuses a port that is none', () => {
    for (const amqp_port of [-1, 65_536, 1.5, '5672', 'canary', Number.NaN, '', {}, true, false])
      assert.match(faultOf({ ...client, amqp_port }), /^amqp_port must be a whole number from 1 to 65535/);
  });

  it('takes any text of up to 255 characters without NUL as user and password', () => {
    const amqp_pass = ' pässwörd"\\\n\u{1F511}'.padEnd(255, 'x');
    assert.equal(toNewClient({ ...client, amqp_pass }).amqp_pass, amqp_pass);
    for (const field of ['amqp_host', 'amqp_user', 'amqp_pass'])
      for (const text of ['canary\0x', 'x'.repeat(256), '\ud800', 7, {}, ['canary']])
        assert.equal(
          faultOf({ ...client, [field]: text }),
          `${field} must be text of 1 to 255 characters without NUL`,
        );
  });

  it('refuses what is no object', () => {
    for (const value of [undefined, null, 'canary', 7, [client]])
      assert.equal(faultOf(value), 'the request must be a JSON object');
  });
});
