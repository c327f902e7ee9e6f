import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createClientAddress, parseTrustedProxies } from './client-address.ts';

describe('the address of a client', () => {
  it('is that of its connection, whatever it says of others, where no proxy is trusted', () => {
    const addressOf = createClientAddress();
    assert.equal(addressOf({ peer: '203.0.113.7', forwardedFor: '198.51.100.1' }), '203.0.113.7');
    assert.equal(addressOf({ peer: undefined, forwardedFor: '198.51.100.1' }), '');
  });

  const trusted = parseTrustedProxies(['10.0.0.0/8', '192.0.2.4', 'loopback', 'fd00::/8']);
  const addressOf = createClientAddress(trusted);
  const cases: [what: string, peer: string, forwardedFor: string | undefined, address: string][] = [
    ['what a trusted proxy says', '10.1.2.3', '203.0.113.7', '203.0.113.7'],
    ['an IPv6 one, too', 'fd00::1', '2001:db8::7', '2001:db8::7'],
    ['by a peer in the notation of both', '::ffff:10.1.2.3', '203.0.113.7', '203.0.113.7'],
    ['through several trusted ones', '127.0.0.1', '203.0.113.7, 192.0.2.4, 10.9.9.9', '203.0.113.7'],
    ['one with a port', '10.1.2.3', '203.0.113.7:4711', '203.0.113.7'],
    ['an IPv6 one with a port', '10.1.2.3', '[2001:db8::7]:4711', '2001:db8::7'],
    ['through trusted ones with ports', '10.1.2.3', '203.0.113.7:1, 192.0.2.4:2,[fd00::1]:3', '203.0.113.7'],
    ['not what the client itself has written before', '10.1.2.3', '198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['not what a stranger says', '203.0.113.7', '198.51.100.1', '203.0.113.7'],
    ['not what is none', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['nor very long', '10.1.2.3', 'x'.repeat(10_000), '10.1.2.3'],
    ['that of the proxy where it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['an empty list, too', '10.1.2.3', ' , ', '10.1.2.3'],
  ];
  for (const [what, peer, forwardedFor, address] of cases)
    it(`is ${what}`, () => assert.equal(addressOf({ peer, forwardedFor }), address));

  it('is told by proxies that are addresses, networks or named ranges, and by nothing else', () => {
    for (const item of ['proxy.example', '10.0.0.0/33', '10.0.0', '', '*'])
      assert.throws(() => parseTrustedProxies([item]), { code: 'invalid-config' }, item);
  });
});
