import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isPublicType, mayBePublic } from './public-types.ts';

it('takes the types listed, and those a pattern with * at its end covers', () => {
  const patterns = ['PingRequest', 'shop.*'];
  for (const type of ['PingRequest', 'shop.', 'shop.order.new'])
    assert.equal(isPublicType(type, patterns), true, type);
  for (const type of ['PingRequest2', 'Ping', 'pingrequest', 'shop', 'shopping', 'x.shop.y', '*', 'shop*'])
    assert.equal(isPublicType(type, patterns), false, type);
});

it('knows whether a type that begins with something may be public', () => {
  for (const pattern of ['shop.order', 'shop.*', 'shop.or*', 'shop*', 's*', '*'])
    assert.equal(mayBePublic('shop.', ['PingRequest', pattern]), true, pattern);
  for (const pattern of ['shop', 'shopping.*', 'Shop.*', 'x*'])
    assert.equal(mayBePublic('shop.', ['PingRequest', pattern]), false, pattern);
});

it('takes no internal type, whatever the patterns say', () => {
  for (const type of ['waybill.Problem', 'waybill.', 'NewClientRequest'])
    assert.equal(isPublicType(type, ['*', type]), false, type);
  assert.equal(isPublicType('waybills', ['*']), true);
});
