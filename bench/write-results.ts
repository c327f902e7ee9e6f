import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { comparisonChart } from './comparison-chart.ts';
import type { Machine } from './machine.ts';
import type { ComparisonOptions } from './options.ts';
import { type RoundMeasurement, summarize } from './summarize.ts';
import type { Received } from './telemetry-sink.ts';

export type Results = {
  options: ComparisonOptions;
  machine: Machine;
  measurements: RoundMeasurement[];
  received: Record<string, Received> | undefined;
};

/** Writes a comparison as JSON and as a picture, and resolves with the names of the files. */
export async function writeResults({ options, machine, measurements, received }: Results): Promise<string[]> {
  const name = options.hasTelemetry ? 'comparison-tracing' : 'comparison';
  const files = [`${name}.json`, `${name}.svg`].map((file) => join(options.out, file)) as [string, string];
  const summaries = summarize(measurements);
  const { seconds, rounds, hasTelemetry } = options;
  const date = new Date().toISOString();
  const json = { date, machine, seconds, rounds, hasTelemetry, received, summaries, measurements };
  await mkdir(options.out, { recursive: true });
  await writeFile(files[0], `${JSON.stringify(json, undefined, 2)}\n`);
  await writeFile(files[1], comparisonChart(summaries, describeRun(date, machine, options)));
  return files;
}

function describeRun(
  date: string,
  machine: Machine,
  { rounds, seconds, hasTelemetry }: ComparisonOptions,
): string {
  const telemetry = hasTelemetry ? ', telemetry exported' : '';
  return `${date.slice(0, 10)}, ${machine.cores} cores, RabbitMQ ${machine.rabbitmq}, Node ${machine.node}: medians of ${rounds} rounds of ${seconds} s${telemetry}`;
}
