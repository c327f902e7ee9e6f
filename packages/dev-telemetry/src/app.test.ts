import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pino } from 'pino';
import { createDevTelemetryApp } from './app.ts';
import { createMetricStore } from './metric-store.ts';
import { createTraceStore } from './store.ts';

const TRACE_ID = '0c57821a552f5e74fc778f66e6633d81';
const SPAN_ID = 'ce4078a0d83dc85d';

describe('the development collector', () => {
  it('answers exported spans as Tempo does, leading zeros of the id or not', async () => {
    const app = createApp();
    assert.deepEqual(
      await app.post('/v1/traces', exportOf([span({ spanId: SPAN_ID, parentSpanId: '7a12296975591908' })])),
      [200, {}],
    );

    const [status, body] = await app.get('/api/v2/traces/c57821a552f5e74fc778f66e6633d81');
    assert.equal(status, 200);
    assert.deepEqual(body.trace, {
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'spike' } }] },
          scopeSpans: [
            {
              scope: { name: 'test' },
              spans: [
                {
                  traceId: 'DFeCGlUvXnT8d49m5mM9gQ==',
                  spanId: 'zkB4oNg9yF0=',
                  parentSpanId: 'ehIpaXVZGQg=',
                  name: 'publish <default>',
                  kind: 'SPAN_KIND_PRODUCER',
                  startTimeUnixNano: '1795220678836000000',
                  endTimeUnixNano: '1795220678837813308',
                  attributes: [{ key: 'server.port', value: { intValue: '5673' } }],
                  status: {},
                },
              ],
            },
          ],
        },
      ],
    });
  });

  it('writes the status of a failed span by name, and no parent for the first one', async () => {
    const app = createApp();
    await app.post('/v1/traces', exportOf([span({ parentSpanId: '', status: { code: 2, message: 'no' } })]));
    const [, body] = await app.get(`/api/v2/traces/${TRACE_ID}`);
    const [failed] = body.trace.resourceSpans[0].scopeSpans[0].spans;
    assert.deepEqual(failed.status, { code: 'STATUS_CODE_ERROR', message: 'no' });
    assert.equal('parentSpanId' in failed, false);
  });

  it('keeps the traces of one export apart', async () => {
    const app = createApp();
    const other = 'f'.repeat(32);
    await app.post('/v1/traces', exportOf([span(), span({ traceId: other, name: 'other' })]));
    const [, body] = await app.get(`/api/v2/traces/${other}`);
    assert.deepEqual(
      body.trace.resourceSpans.map((group: Json) => group.scopeSpans[0].spans.map(({ name }: Json) => name)),
      [['other']],
    );
  });

  it('answers 200 with an empty trace for an unknown id, 400 for a malformed one', async () => {
    const app = createApp();
    assert.deepEqual(await app.get(`/api/v2/traces/${TRACE_ID}`), [200, { trace: {}, metrics: {} }]);
    for (const id of ['xyz', '1'.repeat(33)])
      assert.equal((await app.get(`/api/v2/traces/${id}`))[0], 400, id);
  });

  it("answers a service's log lines of a trace as Loki does", async () => {
    const app = createApp();
    await app.post('/v1/logs', logsOf([record({ timeUnixNano: '3' }), record({ timeUnixNano: '2' })]));
    await app.post('/v1/logs', logsOf([record({ traceId: undefined }), record({ traceId: 'f'.repeat(32) })]));

    const [status, body] = await app.logs(
      `{service_name="spike"} | trace_id="${TRACE_ID}"`,
      '&direction=forward',
    );
    assert.equal(status, 200);
    assert.equal(body.data.result.length, 2);
    assert.deepEqual(body.data.result[0], {
      stream: {
        req_method: 'POST',
        req_remotePort: '45462',
        service_name: 'spike',
        observed_timestamp: '9',
        severity_number: '9',
        severity_text: 'info',
        span_id: SPAN_ID,
        trace_id: TRACE_ID,
      },
      values: [['2', 'in handler']],
    });
    const [, all] = await app.logs(`{service_name=~".+"} | trace_id="${TRACE_ID}"`, '&direction=forward');
    assert.deepEqual(all, body);
    const [, others] = await app.logs(`{service_name="other"} | trace_id="${TRACE_ID}"`);
    assert.deepEqual(others.data.result, []);
  });

  it('heeds the limit, the direction and the range of a log query', async () => {
    const app = createApp();
    await app.post(
      '/v1/logs',
      logsOf(['12000000001', '12000000002', '13000000000'].map((timeUnixNano) => record({ timeUnixNano }))),
    );
    const times = async (range: string) => {
      const [, body] = await app.logs(`{service_name="spike"} | trace_id="${TRACE_ID}"`, range);
      return body.data.result.map(({ values }: Json) => values[0][0]);
    };
    assert.deepEqual(await times('&limit=1'), ['13000000000']);
    assert.deepEqual(await times('&limit=1&direction=forward'), ['12000000001']);
    assert.deepEqual(await times('&start=12000000002&end=13000000000'), ['12000000002']);
    assert.deepEqual(await times('&start=13'), ['13000000000']);
    assert.deepEqual(await times('&start=1970-01-01T00:00:12.5Z'), ['13000000000']);
  });

  it('answers 400 for any other query', async () => {
    const app = createApp();
    const query = `{service_name="spike"} | trace_id="${TRACE_ID}"`;
    assert.equal((await app.get('/loki/api/v1/query_range'))[0], 400);
    assert.equal((await app.logs('{service_name="spike"}'))[0], 400);
    assert.equal((await app.logs(query.replace('spike', '\\x')))[0], 400);
    for (const range of ['&limit=0', '&direction=up', '&start=soon'])
      assert.equal((await app.logs(query, range))[0], 400, range);
  });

  it('answers what metrics were exported last as Prometheus has them', async () => {
    const app = createApp();
    assert.deepEqual(await app.post('/v1/metrics', { resourceMetrics: [] }), [200, {}]);
    for (const value of [1, 3]) assert.deepEqual(await app.post('/v1/metrics', metricsOf(value)), [200, {}]);
    const { body, headers } = await app.inject('/metrics');
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
    const by = 'job="spike",instance="1"';
    assert.equal(
      body,
      `# TYPE waybill_event_duration_seconds histogram
waybill_event_duration_seconds_bucket{type="a\\"b",${by},le="0.005"} 3
waybill_event_duration_seconds_bucket{type="a\\"b",${by},le="1"} 3
waybill_event_duration_seconds_bucket{type="a\\"b",${by},le="+Inf"} 4
waybill_event_duration_seconds_sum{type="a\\"b",${by}} 2.5
waybill_event_duration_seconds_count{type="a\\"b",${by}} 4
# TYPE waybill_events_total counter
waybill_events_total{type="a\\"b",${by}} 3
# TYPE waybill_parked gauge
waybill_parked{${by}} 0.5
`,
    );
  });

  it('counts what it cannot keep', async () => {
    const [, spans] = await createApp().post('/v1/traces', exportOf([span(), span({ spanId: 'short' })]));
    assert.equal(spans.partialSuccess.rejectedSpans, '1');
    const [, logs] = await createApp({ maxBytes: 100 }).post('/v1/logs', logsOf([record({})]));
    assert.equal(logs.partialSuccess.rejectedLogRecords, '1');
  });

  it('says what it takes when it gets anything else', async () => {
    const app = createApp();
    for (const path of ['/v1/traces', '/v1/logs', '/v1/metrics']) {
      const [status, problem] = await app.post(path, {}, 'application/x-protobuf');
      assert.equal(status, 415);
      assert.match(problem.detail, /OTEL_EXPORTER_OTLP_PROTOCOL=http\/json/);
    }
    assert.equal((await app.post('/v1/traces', { resourceSpans: 'none' }))[0], 400);
    assert.equal((await app.post('/v1/logs', { resourceLogs: [1] }))[0], 400);
    assert.equal((await app.post('/v1/logs', []))[0], 400);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: answers as they come, compared here only.
type Json = any;
type Answer = [status: number, body: Json];

function createApp({ maxBytes = 1e6 } = {}) {
  const store = createTraceStore({ maxBytes });
  const app = createDevTelemetryApp({
    log: pino({ level: 'silent' }),
    store,
    metrics: createMetricStore(),
    readiness: () => undefined,
  });
  async function get(url: string): Promise<Answer> {
    const response = await app.inject({ url });
    return [response.statusCode, response.json()];
  }
  return {
    get,
    inject: (url: string) => app.inject({ url }),
    logs: (query: string, range = '') =>
      get(`/loki/api/v1/query_range?query=${encodeURIComponent(query)}${range}`),
    async post(url: string, body: Json, type = 'application/json'): Promise<Answer> {
      const headers = { 'content-type': type };
      const response = await app.inject({ method: 'POST', url, headers, payload: JSON.stringify(body) });
      return [response.statusCode, response.json()];
    },
  };
}

const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'spike' } }] };

function exportOf(spans: Json[]): Json {
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'test' }, spans }] }] };
}

/** As the OpenTelemetry SDK writes it. */
function span(changed: Json = {}): Json {
  return {
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    name: 'publish <default>',
    kind: 4,
    startTimeUnixNano: '1795220678836000000',
    endTimeUnixNano: '1795220678837813308',
    attributes: [{ key: 'server.port', value: { intValue: 5673 } }],
    droppedAttributesCount: 0,
    status: { code: 0 },
    ...changed,
  };
}

function logsOf(logRecords: Json[]): Json {
  return { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] };
}

function record(changed: Json): Json {
  const req = [
    { key: 'method', value: { stringValue: 'POST' } },
    { key: 'remotePort', value: { intValue: 45462 } },
  ];
  return {
    timeUnixNano: '1',
    observedTimeUnixNano: '9',
    severityNumber: 9,
    severityText: 'info',
    body: { stringValue: 'in handler' },
    attributes: [{ key: 'req', value: { kvlistValue: { values: req } } }],
    traceId: TRACE_ID,
    spanId: SPAN_ID,
    ...changed,
  };
}

/** What a process exports that has seen `value` quick events and a slow one. */
function metricsOf(value: number): Json {
  const attributes = [{ key: 'type', value: { stringValue: 'a"b' } }];
  const point = { attributes, startTimeUnixNano: '1', timeUnixNano: '2' };
  const metrics = [
    {
      name: 'waybill.events',
      unit: '{event}',
      sum: { isMonotonic: true, dataPoints: [{ ...point, asInt: `${value}` }] },
    },
    {
      name: 'waybill.event.duration',
      unit: 's',
      histogram: {
        dataPoints: [
          { ...point, sum: 2.5, count: value + 1, bucketCounts: [value, 0, 1], explicitBounds: [0.005, 1] },
        ],
      },
    },
    { name: 'waybill.parked', unit: '{request}', gauge: { dataPoints: [{ asDouble: 0.5 }] } },
  ];
  const id = { key: 'service.instance.id', value: { stringValue: '1' } };
  return {
    resourceMetrics: [
      {
        resource: { attributes: [...resource.attributes, id] },
        scopeMetrics: [{ scope: { name: 'test' }, metrics }],
      },
    ],
  };
}
