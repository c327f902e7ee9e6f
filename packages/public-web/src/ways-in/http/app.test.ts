import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import fc from 'fast-check';
import { usePublicWeb } from '../../public-web.fixture.ts';

const { dispatcher, publicWeb } = await usePublicWeb();

const event = { specversion: '1.0', id: 'e1', source: '/client', type: 'PingRequest' };
const JSON_TYPE = { 'content-type': 'application/json' };
const BATCH = { 'content-type': BATCH_CONTENT_TYPE };
const BINARY = { 'ce-specversion': '1.0', 'ce-id': 'e1', 'ce-source': '/client', 'ce-type': 'PingRequest' };

type Input = {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
};

function request({ method = 'POST', path = '/', headers = JSON_TYPE, body }: Input): Promise<Response> {
  const options = { method, headers, body, signal: AbortSignal.timeout(10_000) };
  return fetch(publicWeb.baseUrl + path, options);
}

/** Writes bytes that no HTTP client would, and reads until the server closes. */
async function raw(text: string): Promise<string> {
  const socket = connect(publicWeb.port as number, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.on('error', () => {});
  socket.write(text, 'latin1');
  await once(socket, 'close');
  return answer;
}

const structured = (changes: object): Input => ({
  headers: { 'content-type': EVENT_CONTENT_TYPE },
  body: JSON.stringify({ ...event, ...changes }),
});
const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

/** Input at fault, the status it gets, and what its problem says. */
const faults: Record<string, [Input, number, RegExp]> = {
  'malformed JSON': [{ body: '{"type":' }, 400, /not valid JSON/],
  'an empty JSON body': [{ body: '' }, 400, /not valid JSON/],
  'JSON that is no object': [{ body: '"PingRequest"' }, 400, /JSON object/],
  'an array without the batch content type': [{ body: '[{"type":"PingRequest"}]' }, 400, /JSON object/],
  'no type': [{ body: '{}' }, 400, /type is missing/],
  'a type with a space': [{ body: '{"type":"Ping Request"}' }, 400, /type must match/],
  'a type that is no string': [{ body: '{"type":1}' }, 400, /type must match/],
  'an id that is no string': [{ body: '{"type":"PingRequest","id":{}}' }, 400, /id must be/],
  'an id of 129 characters': [
    { body: `{"type":"PingRequest","id":"${'i'.repeat(129)}"}` },
    400,
    /id is longer/,
  ],
  'invalid UTF-8': [{ body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, /UTF-8/],
  'JSON nested 33 deep': [{ body: `{"type":"PingRequest","data":${deep(32)}}` }, 400, /nested deeper/],
  'JSON nested 100,000 deep': [
    { body: `{"type":"PingRequest","data":${deep(100_000)}}` },
    400,
    /nested deeper/,
  ],
  'JSON nested 200,000 deep': [{ body: deep(200_000) }, 413, /too large/i],
  'a member __proto__': [{ body: '{"type":"PingRequest","data":{"__proto__":{}}}' }, 400, /__proto__/],
  'a member constructor': [{ body: '{"type":"PingRequest","data":[{"constructor":1}]}' }, 400, /constructor/],
  'a number that no double comes near': [
    { body: '{"type":"PingRequest","data":{"limit":1e400}}' },
    400,
    /range of doubles/,
  ],
  'a body over 256 kB': [{ body: `"${'x'.repeat(256 * 1024)}"` }, 413, /too large/i],
  'JSON that outgrows what a dispatcher takes': [
    { body: `{"type":"PingRequest","data":[${'1e20,'.repeat(30_000)}1]}` },
    413,
    /bytes/,
  ],
  'text/plain': [
    { headers: { 'content-type': 'text/plain' }, body: '{"type":"PingRequest"}' },
    415,
    /text\/plain/,
  ],
  'a form': [
    { headers: { 'content-type': 'application/x-www-form-urlencoded' }, body: 'type=PingRequest' },
    415,
    /x-www-form-urlencoded/,
  ],
  'no content type': [{ headers: {}, body: new Uint8Array([0x7b, 0x7d]) }, 415, /no content type/],
  'no body at all': [{ headers: {} }, 415, /no content type/],
  'a content type that is none': [
    { headers: { 'content-type': 'json' }, body: '{}' },
    415,
    /json|media type/i,
  ],
  'an empty content type': [
    { headers: { ...BINARY, 'content-type': '' }, body: new Uint8Array([0x7b, 0x7d]) },
    415,
    /no content type: send/,
  ],
  'another charset': [
    { headers: { 'content-type': 'application/json; charset=latin1' }, body: '{"type":"PingRequest"}' },
    415,
    /latin1/,
  ],
  'an event without specversion': [structured({ specversion: undefined }), 400, /specversion/],
  'an event of CloudEvents 0.3': [structured({ specversion: '0.3' }), 400, /specversion/],
  'an event without id': [structured({ id: undefined }), 400, /id is missing/],
  'an event without source': [structured({ source: undefined }), 400, /source is missing/],
  'an event without type': [structured({ type: undefined }), 400, /type is missing/],
  'an event with an attribute in capitals': [structured({ Shop: 'x' }), 400, /lower-case/],
  'an event with an object for an attribute': [structured({ shop: {} }), 400, /shop/],
  'an event with a control character': [structured({ subject: 'a\nb' }), 400, /control character/],
  'an event with data twice': [structured({ data: 1, data_base64: 'AA==' }), 400, /exclude each other/],
  'an event with data_base64 that is none': [structured({ data_base64: '%' }), 400, /base64/],
  'a batch that is no array': [{ headers: BATCH, body: '{}' }, 400, /array/],
  'binary mode without an id': [{ headers: { ...BINARY, 'ce-id': '' }, body: '' }, 400, /id/],
  'binary mode with a header that is not UTF-8': [
    { headers: { ...BINARY, 'ce-subject': '%FF' }, body: '' },
    400,
    /ce-subject/,
  ],
  'binary mode with an attribute named constructor': [
    { headers: { ...BINARY, 'ce-constructor': 'x' }, body: '' },
    400,
    /constructor/,
  ],
  'binary mode with an attribute named __proto__': [
    { headers: { ...BINARY, 'ce-__proto__': 'x' }, body: '' },
    400,
    /__proto__/,
  ],
  'an unknown path': [{ path: '/nowhere', body: '{}' }, 404, /POST \/nowhere/],
  'PUT /': [{ method: 'PUT', body: '{}' }, 405, /takes GET, HEAD, OPTIONS, POST/],
  'GET /events': [{ method: 'GET', path: '/events' }, 405, /takes OPTIONS, POST/],
  'a path that is not percent-encoded': [{ path: '/%zz', body: '{}' }, 400, /zz/],
};

describe('a request at fault is told so by a problem, and nothing is sent', () => {
  for (const [name, [input, status, detail]] of Object.entries(faults))
    it(`${status}: ${name}`, async () => {
      const response = await request(input);
      const text = await response.text();
      assert.equal(response.status, status, text);
      assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
      const problem = JSON.parse(text);
      assert.equal(problem.status, status);
      assert.match(problem.detail, detail);
      assert.equal(dispatcher.batches.length, 0);
    });

  it('405: HEAD of what has no GET', async () => {
    const response = await request({ method: 'HEAD', path: '/events' });
    assert.equal(response.status, 405);
  });

  const malformed: Record<string, [string, RegExp]> = {
    'what is not HTTP': ['hello\r\n\r\n', /^HTTP\/1.1 400 /],
    'headers of 20 kB': [`POST / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    'a header with a space in its name': [
      'POST / HTTP/1.1\r\nhost: x\r\nce id: x\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    'a length that is no number': [
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    'a length and chunks': [
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    'no host': ['POST / HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400 /],
    'a method that does not exist': ['BREW / HTTP/1.1\r\nhost: x\r\n\r\n', /^HTTP\/1.1 400 /],
  };
  for (const [name, [text, status]] of Object.entries(malformed))
    it(`${status.source.slice(-4, -1)}: ${name}`, async () => {
      const answer = await raw(text);
      assert.match(answer, status);
      assert.match(answer, /content-type: application\/problem\+json/i);
    });
});

it('an event nested as deep as may be reaches the dispatcher and is answered', async () => {
  const response = await request({ body: `{"type":"PingRequest","data":{"d":${deep(30)}}}` });
  assert.equal(response.status, 200);
});

it('random input never makes a 5xx, never hangs, and never harms the next request', async () => {
  const contentTypes = [
    'application/json',
    EVENT_CONTENT_TYPE,
    BATCH_CONTENT_TYPE,
    'text/plain',
    'a/b',
    '"',
    'x;y=z',
  ];
  const value = fc.stringMatching(/^[\x21-\x7e]{0,20}$/);
  const names = [
    'ce-id',
    'ce-type',
    'ce-source',
    'ce-specversion',
    'ce-time',
    'ce-x',
    'prefer',
    'ce-data',
    'accept',
  ];
  const headers = fc.dictionary(fc.constantFrom(...names, 'content-encoding'), value, { maxKeys: 5 });
  const attributes = fc.record(
    {
      specversion: fc.constantFrom('1.0', '1', 1),
      id: fc.anything(),
      source: fc.string({ unit: 'binary' }),
      type: fc.constantFrom('PingRequest', 'waybill.Problem', 'Other', '', null),
      data: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
    fc.jsonValue().map((json) => JSON.stringify(json)),
    attributes.map(
      (json) => JSON.stringify(json, (_key, item) => (typeof item === 'bigint' ? 0 : item)) ?? '',
    ),
    fc
      .array(attributes, { maxLength: 4 })
      .map((json) => JSON.stringify(json, (_key, item) => (typeof item === 'bigint' ? 0 : item))),
  );
  const property = fc.asyncProperty(
    fc.constantFrom(...contentTypes),
    headers,
    body,
    async (type, extra, sent) => {
      const response = await request({ headers: { ...extra, 'content-type': type }, body: sent });
      const text = await response.text();
      assert.ok(response.status < 500, `${response.status} ${text}`);
    },
  );
  await fc.assert(property, { seed: 7, numRuns: 400 });
  assert.equal((await request({ body: '{"type":"PingRequest"}' })).status, 200);
});

describe('what describes the service', () => {
  type Operation = { operationId: string; responses: Record<string, { description: string }> };
  type OpenApi = {
    openapi: string;
    info: Record<string, string>;
    paths: Record<string, Record<string, Operation>>;
  };

  it('GET /openapi.json is an OpenAPI 3.1 document of exactly the public routes', async () => {
    const document = (await (await request({ method: 'GET', path: '/openapi.json' })).json()) as OpenApi;
    assert.match(document.openapi, /^3\.1\.\d+$/);
    assert.ok(document.info.title && document.info.version);
    const operations = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ route: `${method} ${path}`, operation })),
    );
    assert.deepEqual(operations.map(({ route }) => route).sort(), [
      'delete /requests/{place}',
      'get /clients/{client}/events',
      'get /clients/{client}/mailbox',
      'get /ping',
      'get /requests/{place}',
      'post /',
      'post /clients',
      'post /clients/{client}/events',
      'post /events',
      'post /ping',
      'post /tickets',
    ]);
    assert.equal(new Set(operations.map(({ operation }) => operation.operationId)).size, 11);
    const fetching = Object.keys(document.paths['/requests/{place}']?.delete?.responses ?? {});
    assert.deepEqual(fetching, ['204', '401', '404', '410', '501', '503']);
    const toMailbox = Object.keys(document.paths['/clients/{client}/events']?.post?.responses ?? {});
    for (const status of ['202', '404', '429', '501', '503', '504'])
      assert.ok(toMailbox.includes(status), status);
    for (const { route, operation } of operations) {
      if (/\{(?:place|client)\}/.test(route)) continue;
      const statuses = Object.keys(operation.responses);
      // Nothing is sent for a ticket.
      const sends = route !== 'post /tickets';
      const refused = ['400', '401', '403', ...(sends ? ['404'] : []), '408', '413', '415', '421'];
      const keyReused = sends && route.startsWith('post ') ? ['422'] : [];
      const success = { 'post /clients': '202', 'post /tickets': '201' }[route] ?? '200';
      const handlerFailed = success === '200' ? ['502'] : [];
      const ofHandlers = success === '200' ? ['default'] : [];
      const unknown = sends ? ['504'] : [];
      const isAsync = ['post /', 'post /events'].includes(route);
      const [accepted, noStore] = isAsync ? [['202', '204'], ['501']] : [[], []];
      assert.deepEqual(
        statuses,
        [
          success,
          ...accepted,
          ...refused,
          ...keyReused,
          '429',
          '431',
          ...noStore,
          ...handlerFailed,
          '503',
          ...unknown,
          ...ofHandlers,
        ],
        route,
      );
      for (const { description } of Object.values(operation.responses)) assert.ok(description, route);
    }
    const references = JSON.stringify(document).match(/"\$ref":"[^"]*"/g) ?? [];
    for (const reference of references) assert.match(reference, /"#\//);
  });

  it('GET /docs is a page whose every asset comes from this server', async () => {
    const page = await request({ method: 'GET', path: '/docs' });
    assert.equal(page.status, 200);
    assert.match(String(page.headers.get('content-type')), /^text\/html/);
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(
      ([, url]) => new URL(String(url), page.url),
    );
    assert.ok(assets.length >= 5);
    for (const asset of assets) {
      assert.equal(asset.origin, publicWeb.baseUrl);
      const response = await fetch(asset);
      assert.equal(response.status, 200, asset.href);
      const text = await response.text();
      if (asset.pathname.endsWith('.css')) assert.doesNotMatch(text, /url\(\s*["']?https?:|@import/);
      if (asset.pathname.endsWith('initializer.js')) assert.match(text, /validatorUrl: null/);
    }
    assert.equal((await request({ method: 'GET', path: '/docs/json' })).status, 200);
  });

  it('every answer of the docs has a policy against scripts of others, sniffing and frames, which its page keeps', async () => {
    for (const path of [
      '/docs',
      '/docs/',
      '/docs/static/swagger-ui-bundle.js',
      '/docs/json',
      '/openapi.json',
    ]) {
      const { headers } = await request({ method: 'GET', path });
      const policy = String(headers.get('content-security-policy'));
      assert.match(policy, /default-src 'none'; script-src 'self';.* frame-ancestors 'none'/, path);
      assert.doesNotMatch(policy, /script-src[^;]*unsafe|upgrade-insecure/);
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('x-frame-options'), 'DENY');
    }
    const html = await (await request({ method: 'GET', path: '/docs' })).text();
    assert.doesNotMatch(html, /<script(?![^>]* src=)|<style|\son\w+=/);
  });

  it('is served by its own names alone where it needs no key, so that no page of others can rebind theirs', async () => {
    const ask = (path: string) =>
      raw(`GET ${path} HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n`);
    for (const path of ['/ping', '/docs', '/openapi.json'])
      assert.match(await ask(path), /^HTTP\/1\.1 421 /, path);
    assert.match(await ask('/health/live'), /^HTTP\/1\.1 200 /);
    assert.equal(dispatcher.batches.length, 0);
  });

  it('GET /health/live and /health/ready answer 200, also while no dispatcher is reachable', async () => {
    for (const path of ['/health/live', '/health/ready'])
      assert.equal((await request({ method: 'GET', path })).status, 200);
  });
});
