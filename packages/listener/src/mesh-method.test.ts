import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidDataError } from './invalid-data.ts';
import { meshMethod } from './mesh-method.ts';
import { handleEvent } from './testing/handle-event.ts';

const text = {
  name: 'acme.Text',
  decode: (bytes: Uint8Array) => {
    if (bytes[0] === 255) throw new RangeError('index out of range');
    return Buffer.from(bytes).toString();
  },
  encode: (value: string) => Buffer.from(value),
};
const shout = meshMethod({
  input: text,
  output: text,
  handle: (value, { event, executionContext }) =>
    `${value.toUpperCase()} ${event.id} ${executionContext.tone}`,
});
const data_base64 = Buffer.from('ahoy').toString('base64');
const call = {
  ...{ id: '7', type: 'acme.Shouter.Shout', data_base64, typeurl: 'type.googleapis.com/acme.Text' },
  executioncontext: '{"tone":"low"}',
};

test('a method gets its message and the context, and its reply is a message with its type', async () => {
  const { reply } = await handleEvent(shout, call);
  assert.deepEqual(reply, {
    type: 'acme.Shouter.Shout.Response',
    datacontenttype: 'application/protobuf',
    data: Buffer.from('AHOY 7 low'),
    typeurl: 'type.googleapis.com/acme.Text',
  });
});

test('what stands before the name of a type does not matter, and neither does a call without an input', async () => {
  const { reply } = await handleEvent(shout, { ...call, typeurl: 'example.com/types/acme.Text' });
  assert.equal(String(reply?.data), 'AHOY 7 low');
  const { reply: empty } = await handleEvent(shout, { id: '8', type: 'a.B.C' });
  assert.equal(String(empty?.data), ' 8 undefined');
});

test('another message, or what is none, is refused, and the method does not run', async () => {
  const wrong = [
    { ...call, typeurl: 'type.googleapis.com/acme.Other' },
    { ...call, typeurl: '' },
    { ...call, data_base64: Buffer.from([255]).toString('base64') },
  ];
  for (const event of wrong) await assert.rejects(handleEvent(shout, event), InvalidDataError);
});

test('a context that is none is empty', async () => {
  for (const executioncontext of ['{', 'null', '1']) {
    const { reply } = await handleEvent(shout, { ...call, executioncontext });
    assert.equal(String(reply?.data), 'AHOY 7 undefined');
  }
});

test('the reply of the longest type has a type that an event can have', async () => {
  const { reply } = await handleEvent(shout, { ...call, type: 'x'.repeat(128) });
  assert.equal(reply?.type.length, 128);
});
