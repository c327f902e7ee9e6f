/**
 * Counters whose every series is exported as 0 before it is exported as anything else.
 *
 * An increase lies between two samples. A series that a backend first sees at 1 has none, so that the first dead letter
 * of a process, often its only one, would show nowhere. Labels are known only when something happens, so a new series
 * counts for one export what it was before.
 */
import { type Attributes, createNoopMeter, type Meter, type MetricOptions } from '@opentelemetry/api';

export type Counter = {
  /** Counts `value` (0 or more) more under `attributes`; seen from one export interval later on. */
  add(value: number, attributes?: Attributes): void;
};

/** The cardinality limit that OpenTelemetry recommends, which also its histograms have here; the attribute is its own for what is beyond. */
const MAX_SERIES = 2_000;
const OVERFLOW: Attributes = { 'otel.metric.overflow': true };

type Series = { attributes: Attributes; value: number; isExported: boolean };

/**
 * Creates a {@link Counter} on `meter`, which has one reader. On a meter that exports nothing it does nothing. Of 2,000 series the last
 * is that of all others.
 */
export function createCounter(meter: Meter, name: string, options: MetricOptions): Counter {
  if (meter === createNoopMeter()) return { add() {} };
  const seriesByKey = new Map<string, Series>();
  meter.createObservableCounter(name, options).addCallback((result) => {
    for (const series of seriesByKey.values()) {
      result.observe(series.isExported ? series.value : 0, series.attributes);
      series.isExported = true;
    }
  });

  function open(key: string, attributes: Attributes): Series {
    const series = { attributes, value: 0, isExported: false };
    seriesByKey.set(key, series);
    return series;
  }

  function find(attributes: Attributes): Series {
    const key = keyOf(attributes);
    const series = seriesByKey.get(key);
    if (series) return series;
    if (seriesByKey.size < MAX_SERIES - 1) return open(key, attributes);
    return seriesByKey.get(OVERFLOW_KEY) ?? open(OVERFLOW_KEY, OVERFLOW);
  }

  return {
    add(value, attributes = {}) {
      find(attributes).value += value;
    },
  };
}

const OVERFLOW_KEY = keyOf(OVERFLOW);

/** The same whatever the order of the attributes. */
function keyOf(attributes: Attributes): string {
  const names = Object.keys(attributes).sort();
  return JSON.stringify(names.map((name) => [name, attributes[name]]));
}
