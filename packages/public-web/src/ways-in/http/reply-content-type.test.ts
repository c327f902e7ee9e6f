import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { answer, deliver, pong, usePublicWeb } from '../../public-web.fixture.ts';

/** What the listener's reply has besides. */
let reply: Partial<CloudEvent> = {};

const { publicWeb } = await usePublicWeb({
  async onBatch(events, response) {
    answer(response);
    await deliver(events.map((event) => pong(event, { data: undefined, ...reply })));
  },
});

const BINARY = { 'ce-specversion': '1.0', 'ce-source': '/client', 'ce-type': 'PingRequest' };
let ids = 0;

function ask(headers: Record<string, string> = {}): Promise<Response> {
  const request = { method: 'POST', headers: { ...BINARY, 'ce-id': `e${++ids}`, ...headers } };
  return fetch(publicWeb.baseUrl, request);
}

/** By reply: the content type of the answer in binary mode (HTTP binding, section 3.1.1), and its bytes. */
const replies: Record<string, [Partial<CloudEvent>, string | null, string]> = {
  'no data and no type': [{}, null, ''],
  'a type and no data': [{ datacontenttype: 'text/html' }, 'text/html', ''],
  'bytes without a type': [{ data_base64: 'AQID' }, null, '010203'],
  'no bytes without a type': [{ data_base64: '' }, null, ''],
  'bytes of a type': [{ data_base64: 'AQID', datacontenttype: 'image/png' }, 'image/png', '010203'],
  'JSON without a type': [{ data: [1] }, 'application/json', hex('[1]')],
  'JSON of a type of its own': [
    { data: [1], datacontenttype: 'application/vnd.acme+json' },
    'application/vnd.acme+json',
    hex('[1]'),
  ],
  'JSON with parameters': [
    { data: 'é', datacontenttype: 'Application/JSON ;a="b"; charset=UTF-8' },
    'Application/JSON ;a="b"; charset=UTF-8',
    hex('"é"'),
  ],
  'text without a charset': [{ data: 'é', datacontenttype: 'text/plain' }, 'text/plain', hex('é')],
};

function hex(text: string): string {
  return Buffer.from(text).toString('hex');
}

describe('the answer to a request in binary mode has the content type of the reply, unchanged', () => {
  for (const [name, [given, contentType, bytes]] of Object.entries(replies))
    it(`${name}, the first time and when it is given again`, async () => {
      reply = given;
      const key = { 'ce-id': 'same', 'idempotency-key': `"${name}"` };
      for (const headers of [{}, key, key]) {
        const response = await ask(headers);
        assert.equal(response.status, 200);
        assert.equal(response.headers.get('content-type'), contentType);
        assert.equal(Buffer.from(await response.arrayBuffer()).toString('hex'), bytes);
      }
    });
});

it('numbers that no double holds come back with the digits they were replied with', async () => {
  reply = { data: { n: JSON.rawJSON('9007199254740993') } };
  assert.equal(await (await ask()).text(), '{"n":9007199254740993}');
});
