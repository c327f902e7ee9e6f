/** How a running Waybill is, once or again and again. */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { printable } from '../../../bin/plain/printable.mjs';
import { programName } from '../../../bin/plain/program-name.mjs';
import { findRunningSystems } from '../../../bin/plain/running-systems.mjs';
import { runProgram, toNumber, UserError } from '../../../bin/plain/user-error.mjs';
import { toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { collectStatus, type StatusSources } from './collect-status.ts';
import { renderStatus } from './print-status.ts';
import { defaultPorts } from './system.ts';

const usage = `usage: ${programName('status.mjs')} [options]

  --health <url>      the health port of a process, as http://127.0.0.1:8083; may be repeated (default: those of the npm start
                      that runs on this machine)
  --amqp <url>        the broker, amqp://user:password@host:port/vhost or amqps: (default: that of npm start, AMQP_URL, the
                      file that AMQP_URL_FILE names, or amqp://guest:guest@localhost:5672)
  --management <url>  RabbitMQ's management API, as http://localhost:15672, with the user of the broker: services of which no
                      process is asked are shown too (default: MANAGEMENT_URL)
  --metrics <url>     what clients were answered is read there: Prometheus' text format, as npm start's http://localhost:4318/metrics
                      (default: those of the npm start that runs on this machine)
  --watch             again every --every seconds (default 2), until Ctrl-C
  --json              for programs
  --help              print this

Exits 1 if a process is not ready.`;

await runProgram(async () => {
  const { help, watch, json, everyMs, sources } = readOptions();
  if (help) return console.log(usage);
  for (;;) {
    const status = await collectStatus(sources);
    const text = json ? printable(JSON.stringify(status, null, 2)) : renderStatus(status);
    console.log(watch && process.stdout.isTTY ? `\x1b[2J\x1b[H${text}` : text);
    if (!watch) return status.tiers.every(({ isReady }) => isReady) ? 0 : 1;
    await delay(everyMs);
  }
});

function readOptions() {
  const { health, amqp, management, metrics, watch, json, help, every } = parse();
  const [running] = findRunningSystems();
  const sources: StatusSources = {
    healthUrls: health ? health.map(toHealthUrl) : defaultHealthUrls(running?.services),
    broker: toBroker(
      amqp ?? (process.env.AMQP_URL ? undefined : running?.brokerUrl) ?? readBrokerUrl(process.env),
    ),
    managementUrl: toHttpUrl('management (or MANAGEMENT_URL)', management ?? process.env.MANAGEMENT_URL),
    metricsUrl: toHttpUrl('metrics', metrics ?? metricsOf(health ? undefined : running)),
  };
  return { help, watch, json, everyMs: 1000 * toNumber('every', every), sources };
}

function defaultHealthUrls(services: { readyUrl: string }[] | undefined): string[] {
  if (services) return services.map(({ readyUrl }) => readyUrl);
  const ports = Object.entries(defaultPorts).filter(([name]) => name.endsWith('HEALTH_PORT'));
  return ports.map(([, port]) => `http://127.0.0.1:${port}/health/ready`);
}

function toHealthUrl(text: string): string {
  if (URL.canParse(text) && /^http:$/.test(new URL(text).protocol))
    return new URL('/health/ready', text).href;
  throw new UserError(`--health must be an http:// URL and is ${text}`);
}

function metricsOf(running: { telemetryUrl?: string | undefined } | undefined): string | undefined {
  return running?.telemetryUrl && `${running.telemetryUrl}/metrics`;
}

function toHttpUrl(name: string, text: string | undefined): string | undefined {
  if (!text || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol))) return text || undefined;
  throw new UserError(`--${name} must be an http:// or https:// URL`);
}

function parse() {
  try {
    return parseArgs({
      options: {
        health: { type: 'string', multiple: true },
        amqp: { type: 'string' },
        management: { type: 'string' },
        metrics: { type: 'string' },
        every: { type: 'string', default: '2' },
        watch: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UserError(`${(error as Error).message.split('. ')[0]}; see --help`);
  }
}
