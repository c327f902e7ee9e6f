import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { portOf } from '@waybill/common/http/http-server.ts';
import { pino } from 'pino';
import { listTraces } from '../../bin/plain/list-traces.mjs';
import { toDurationMs, toPastMs } from '../../bin/plain/read-time.mjs';
import { searchTraces } from '../../bin/plain/search-traces.mjs';
import { createDevTelemetryApp } from '../../packages/dev-telemetry/src/app.ts';
import { createMetricStore } from '../../packages/dev-telemetry/src/metric-store.ts';
import { createTraceStore } from '../../packages/dev-telemetry/src/store.ts';

const DAY_AGO = Date.now() - 86_400_000;
/** Long enough ago that nothing of it is waited for. */
const HOUR_AGO = Date.now() - 3_600_000;
const at = (minute: number) => HOUR_AGO + minute * 60_000;

describe('a trace that the development collector keeps', () => {
  const log = pino({ level: 'silent' });
  const store = createTraceStore({ maxBytes: 1_000_000 });
  const app = createDevTelemetryApp({
    ...{ log, store, metrics: createMetricStore() },
    readiness: () => undefined,
  });
  let url: string;
  const ids = {
    quick: '0'.repeat(2).concat('1'.repeat(30)),
    slow: '2'.repeat(32),
    failed: '3'.repeat(32),
    again: '4'.repeat(32),
    noEvent: '5'.repeat(32),
  };

  before(async () => {
    await app.listen({ port: 0, host: '127.0.0.1' });
    url = `http://127.0.0.1:${portOf(app)}`;
    await keep({ traceId: ids.quick, event: 'a', type: 'Order.Place', startMs: at(0), durationMs: 5 });
    await keep({ traceId: ids.slow, event: 'b', type: 'Order.Ship', startMs: at(1), durationMs: 1_500 });
    await keep({ traceId: ids.failed, event: 'c', startMs: at(2), durationMs: 20, isFailed: true });
    await keep({ traceId: ids.again, event: 'c', startMs: at(3), durationMs: 1_001 });
    await keep({ traceId: ids.noEvent, startMs: at(4), durationMs: 9_000, isFailed: true });
  });
  after(() => app.close());

  async function keep(trace: TraceOptions) {
    const response = await fetch(`${url}/v1/traces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(exportOf(trace)),
    });
    assert.deepEqual(await response.json(), {});
  }

  /** The ids of what is found, the latest first. */
  const find = async (filters: Partial<Parameters<typeof searchTraces>[0]['filters']>, limit = 20) => {
    const found = await searchTraces({
      tempoUrl: url,
      filters: { sinceMs: DAY_AGO, ...filters },
      limit,
      waitMs: 0,
    });
    return found.map(({ traceId }) => traceId);
  };

  it('finds those that all that is asked for holds of, the latest first', async () => {
    assert.deepEqual(await find({}), [ids.again, ids.failed, ids.slow, ids.quick]);
    assert.deepEqual(await find({}, 2), [ids.again, ids.failed]);
    assert.deepEqual(await find({ eventId: 'a' }), [ids.quick]);
    assert.deepEqual(await find({ eventId: 'c' }), [ids.again, ids.failed]);
    assert.deepEqual(await find({ isFailed: true }), [ids.failed]);
    assert.deepEqual(await find({ slowerThanMs: 1_000 }), [ids.again, ids.slow]);
    assert.deepEqual(await find({ slowerThanMs: 1_001 }), [ids.slow]);
    assert.deepEqual(await find({ slowerThanMs: 1_000, eventId: 'c' }), [ids.again]);
    assert.deepEqual(await find({ slowerThanMs: 1_000, isFailed: true }), []);
    assert.deepEqual(await find({ sinceMs: at(1) }), [ids.again, ids.failed, ids.slow]);
  });

  it('finds an event by an id that needs quoting, and waits for one that is still to come', async () => {
    const eventId = 'a "b" \\ } && {';
    const filters = { eventId, sinceMs: DAY_AGO };
    const finding = searchTraces({ tempoUrl: url, filters, limit: 1, waitMs: 60_000 });
    await keep({ traceId: '6'.repeat(32), event: eventId, startMs: at(-1), durationMs: 1 });
    assert.equal((await finding)[0]?.traceId, '6'.repeat(32));
  });

  it('is listed with when it began, how long it took, the type of its event, and whether a step failed', async () => {
    const filters = { sinceMs: at(0) };
    const lines = listTraces(await searchTraces({ tempoUrl: url, filters, limit: 20, waitMs: 0 }));
    const time = '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d';
    const expected = [
      `${time} {3}1001\\.0 ms  ${ids.again}  PingRequest  public-web POST /events`,
      `${time} {5}20\\.0 ms  ${ids.failed}  PingRequest  public-web POST /events ✗`,
      `${time} {3}1500\\.0 ms  ${ids.slow}  Order\\.Ship   public-web POST /events`,
      `${time} {5}5\\.00 ms  ${ids.quick}  Order\\.Place  public-web POST /events`,
    ];
    assert.match(lines, new RegExp(`^${expected.join('\\n')}$`));
  });

  const run = (...args: string[]) => trace(...args, '--tempo-url', url, '--wait-ms', '50');

  it('is drawn where it is the one that is found, or the last is asked for; several are listed', async () => {
    const [one, last, several] = await Promise.all([
      run('--event', 'a'),
      run('--last', '--failed'),
      run('--slow', '1s', '--since', '1d'),
    ]);
    for (const { code, stderr } of [one, last, several]) assert.deepEqual([code, stderr], [0, '']);
    assert.match(one.stdout, new RegExp(`^trace ${ids.quick} · 2 spans`));
    assert.match(last.stdout, new RegExp(`^trace ${ids.failed} · 2 spans`));
    assert.deepEqual(several.stdout.match(/\b[0-9a-f]{32}\b/g), [ids.again, ids.slow]);
  });

  it('that is not there, or not asked for in its words, is told in one line', async () => {
    const cases: [args: string[], message: string][] = [
      [['--event', 'nobody'], `no such trace at ${url}`],
      [['--slow', '1'], '--slow must be a duration, such as 250ms or 1.5s, and is 1'],
      [[ids.slow, '--last'], 'give a trace id, or what to look for; see --help'],
    ];
    await Promise.all(
      cases.map(async ([args, message]) =>
        assert.deepEqual(await run(...args), { code: 1, stdout: '', stderr: `${message}\n` }),
      ),
    );
  });

  it('answers 400 for any other query', async () => {
    for (const query of ['q={}', 'q=', `q=${encodeURIComponent('{ status = error }')}`])
      assert.equal((await fetch(`${url}/api/search?${query}`)).status, 400, query);
    const q = encodeURIComponent('{ span.cloudevents.event_type != nil }');
    assert.equal((await fetch(`${url}/api/search?q=${q}`)).status, 200);
    assert.equal((await fetch(`${url}/api/search?q=${q}&limit=all`)).status, 400);
  });
});

describe('trace, asked of Tempo', () => {
  it('asks in TraceQL for what Tempo has, in a range of time, the most recent first', async () => {
    const asked: URL[] = [];
    const realFetch = globalThis.fetch;
    globalThis.fetch = async (input) => {
      asked.push(new URL(String(input)));
      return Response.json({ traces: [tempoTrace], metrics: {} });
    };
    try {
      const filters = { eventId: 'e"1', isFailed: true, slowerThanMs: 1500, sinceMs: 1_795_000_000_000 };
      const options = { tempoUrl: 'http://tempo', filters, limit: 20, waitMs: 0 };
      assert.deepEqual(await searchTraces(options), [
        {
          traceId: '0c57821a552f5e74fc778f66e6633d81',
          startMs: 1_795_220_678_836,
          durationMs: 2_000,
          name: 'public-web POST /events',
          eventType: 'Order.Place',
          isFailed: true,
        },
      ]);
    } finally {
      globalThis.fetch = realFetch;
    }
    const { pathname, searchParams } = asked[0] as URL;
    assert.equal(pathname, '/api/search');
    assert.equal(
      searchParams.get('q'),
      '{ span.cloudevents.event_type != nil && span.cloudevents.event_id = "e\\"1" } && { status = error } && ' +
        '{ trace:duration > 1500ms } with (most_recent=true)',
    );
    assert.equal(searchParams.get('start'), '1795000000');
    assert.equal(searchParams.get('limit'), '20');
    assert.ok(Number(searchParams.get('end')) > Date.now() / 1000);
  });

  /** As the documentation of Tempo's API has it. */
  const tempoTrace = {
    traceID: 'c57821a552f5e74fc778f66e6633d81',
    rootServiceName: 'public-web',
    rootTraceName: 'POST /events',
    startTimeUnixNano: '1795220678836000000',
    durationMs: 2_000,
    spanSets: [
      {
        spans: [
          {
            spanID: '563d623c76514f8e',
            startTimeUnixNano: '1795220678836000000',
            durationNanos: '446979497',
            attributes: [{ key: 'cloudevents.event_type', value: { stringValue: 'Order.Place' } }],
          },
        ],
        matched: 1,
      },
    ],
    serviceStats: { 'public-web': { spanCount: 2 }, orders: { spanCount: 1, errorCount: 1 } },
  };
});

describe('a time on the command line', () => {
  const now = new Date(2026, 10, 28, 10, 40, 30).getTime();

  it('is a time of day that has passed, a time ago, or a whole time', () => {
    assert.equal(toPastMs('since', '10:40', now), new Date(2026, 10, 28, 10, 40).getTime());
    assert.equal(toPastMs('since', '10:40:31', now), new Date(2026, 10, 27, 10, 40, 31).getTime());
    assert.equal(toPastMs('since', '90s', now), now - 90_000);
    assert.equal(toPastMs('since', '2026-11-28T10:40:00Z', now), Date.UTC(2026, 10, 28, 10, 40));
    for (const text of ['24:00', '10:60', '1', '2026', 'now', ''])
      assert.throws(() => toPastMs('since', text, now));
  });

  it('is a duration with its unit', () => {
    assert.deepEqual(
      ['250ms', '1.5s', '10m', '2h', '1d'].map((text) => toDurationMs('slow', text)),
      [250, 1_500, 600_000, 7_200_000, 86_400_000],
    );
    for (const text of ['1', 's', '-1s', '1 s', '1.s', '']) assert.throws(() => toDurationMs('slow', text));
  });
});

type TraceOptions = {
  traceId: string;
  /** The id of its event; without one it is of none. */
  event?: string;
  type?: string;
  startMs: number;
  durationMs: number;
  isFailed?: boolean;
};

/** A request and what was sent for it. */
function exportOf({ traceId, event, type = 'PingRequest', startMs, durationMs, isFailed }: TraceOptions) {
  const startTimeUnixNano = `${startMs}000000`;
  const endTimeUnixNano = `${startMs + durationMs}000000`;
  const times = { traceId, startTimeUnixNano, endTimeUnixNano };
  const attributes = Object.entries({ 'cloudevents.event_id': event, 'cloudevents.event_type': type }).map(
    ([key, stringValue]) => ({ key, value: { stringValue } }),
  );
  const root = randomBytes(8).toString('hex');
  const spans = [
    { ...times, spanId: root, name: 'POST /events', attributes: [], status: {} },
    {
      ...times,
      spanId: randomBytes(8).toString('hex'),
      parentSpanId: root,
      name: `send ${type}`,
      attributes: event === undefined ? [] : attributes,
      status: isFailed ? { code: 2, message: 'no' } : {},
    },
  ];
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'public-web' } }] };
  return { resourceSpans: [{ resource, scopeSpans: [{ scope: { name: 'test' }, spans }] }] };
}

function trace(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const program = fileURLToPath(new URL('../../bin/trace.mjs', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
  });
}
