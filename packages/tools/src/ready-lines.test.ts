import assert from 'node:assert/strict';
import { it } from 'node:test';
import { devLines, startLines } from './ready-lines.ts';

const system = {
  publicUrl: 'http://localhost:8080',
  grpcAddress: 'localhost:50051',
  tcpAddress: undefined,
  needsKey: false,
  brokerUrl: undefined,
  telemetryUrl: undefined,
};
const told = (lines: string[], what: string) => lines.find((line) => line.startsWith(`  ${what} `));

it('what npm start says to type has no key where none is needed', () => {
  const lines = startLines(system);
  assert.match(String(told(lines, 'try')), /^ {2}try {5}curl http:\/\/localhost:8080\/ -H 'content-type/);
  assert.equal(told(lines, 'key'), undefined);
});

it('where clients have to show a key, it is said before what needs it, and sent along', () => {
  for (const lines of [startLines({ ...system, needsKey: true }), devLines({ ...system, needsKey: true })])
    assert.match(String(told(lines, 'key')), /export WAYBILL_API_KEY=/);
  const [, , , key, curl] = startLines({ ...system, needsKey: true });
  assert.match(String(key), /^ {2}key/);
  assert.match(String(curl), /curl \S+ -H "authorization: Bearer \$WAYBILL_API_KEY" /);
});

it('programs are told where a system is that speaks TLS, at whichever port', () => {
  const urls = { publicUrl: 'https://localhost:8080', grpcAddress: 'https://localhost:50051' };
  const lines = startLines({ ...system, ...urls, tcpAddress: 'localhost:9000' });
  assert.match(String(told(lines, 'or')), /node bin\/req\.mjs --url https:\/\/localhost:8080\/$/);
  for (const what of ['gRPC', 'stream'])
    assert.match(String(told(lines, what)), / --url https:\/\/localhost:50051$/);
});

it('curl is told of the authorities that Node is told of, where it speaks TLS', (t) => {
  const curl = (publicUrl: string) => String(told(startLines({ ...system, publicUrl }), 'try'));
  process.env.NODE_EXTRA_CA_CERTS = "/etc/Jo's ca.pem";
  t.after(() => delete process.env.NODE_EXTRA_CA_CERTS);
  assert.match(curl('https://localhost:8080'), / curl --cacert '\/etc\/Jo'\\''s ca\.pem' https:/);
  assert.match(curl('http://localhost:8080'), / curl http:/);
  delete process.env.NODE_EXTRA_CA_CERTS;
  assert.match(curl('https://localhost:8080'), / curl https:/);
});
