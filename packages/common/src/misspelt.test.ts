import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meantBy } from './misspelt.ts';

const names = ['AMQP_URL', 'PUBLIC_EVENT_TYPES', 'TLS_CERT'];

test('a letter that is missing, added, wrong or in the place of its neighbour is a slip', () => {
  for (const text of ['PUBLIC_EVENT_TYPS', 'PUBLIC_EVENT_TYPESS', 'PUBLIC_EVENT_TYPE', 'UBLIC_EVENT_TYPES'])
    assert.equal(meantBy(text, names), 'PUBLIC_EVENT_TYPES', text);
  for (const text of ['AMQP_URI', 'AMQP_ULR', 'AMQPURL', 'XAMQP_URL', 'MAQP_URL'])
    assert.equal(meantBy(text, names), 'AMQP_URL', text);
});

test('what is right, or further away, is none', () => {
  const others = [
    'AMQP_URL',
    'AMQP_LRU',
    'AMQP_HOST',
    'PUBLIC_TYPES',
    'PATH',
    'AMQP',
    'AMQP_URLABC',
    'TLS_KEY',
  ];
  for (const text of others) assert.equal(meantBy(text, names), undefined, text);
});

test('short names are close to too much', () => {
  assert.equal(meantBy('POR', ['PORT']), undefined);
  assert.equal(meantBy('HOSTS', ['HOST']), undefined);
});
