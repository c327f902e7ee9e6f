import { cpuUs, endedChildrenCpuUs, rssBytes } from './process-usage.ts';
import { sum } from './statistics.ts';
import type { RunningSystem } from './systems.ts';
import { type LoadOptions, type LoadReport, runLoad } from './wrk.ts';

/** What one system did under one load. */
export type Measurement = {
  system: string;
  connections: number;
  requestsPerS: number;
  /** Of the slowest address, where there are several. */
  p50Ms: number;
  p99Ms: number;
  /** Answers of 503, where these are counted apart, and then in no other figure but the times. */
  refused?: number;
  /** Answers of 400 and above, and requests without one. */
  errors: number;
  /** CPU time per request of each kind of process of the system, in microseconds. */
  cpuUs: Record<string, number>;
  brokerCpuUs: number;
  /** CPU time per request of what asks, as processes of its own; no system is charged with it. */
  loadCpuUs: number;
  /** Memory at the end, of each kind of process. */
  rssBytes: Record<string, number>;
};

export type MeasureOptions = Omit<LoadOptions, 'url'> & {
  system: RunningSystem;
  /** The broker's process. */
  brokerPid: number;
  /** What asks; default: wrk. */
  load?: (options: LoadOptions) => Promise<LoadReport>;
};

/** Asks a system for so many seconds and looks at what that took. Nothing else may be asked meanwhile. */
export async function measure(options: MeasureOptions): Promise<Measurement> {
  const { system, brokerPid, connections, load = runLoad } = options;
  const used = () => ({
    own: byName(system, cpuUs),
    broker: cpuUs(brokerPid),
    load: endedChildrenCpuUs(),
  });
  const before = used();
  const reports = await Promise.all(
    system.urls.map((url) =>
      load({ ...options, url, connections: Math.ceil(connections / system.urls.length) }),
    ),
  );
  const after = used();

  const refused = sum(reports.map((report) => report.refused));
  const requests = sum(reports.map((report) => report.requests)) - refused;
  const perRequest = (us: number) => us / Math.max(requests, 1);
  const ownCpuUs = Object.entries(after.own).map(([name, us]) => [
    name,
    perRequest(us - (before.own[name] ?? 0)),
  ]);
  return {
    ...{ system: system.name, connections },
    requestsPerS: requests / (Math.max(...reports.map(({ durationUs }) => durationUs)) / 1e6),
    p50Ms: Math.max(...reports.map(({ p50Us }) => p50Us)) / 1e3,
    p99Ms: Math.max(...reports.map(({ p99Us }) => p99Us)) / 1e3,
    ...(options.countsRefused && { refused }),
    errors: sum(reports.map(({ errors }) => errors)),
    cpuUs: Object.fromEntries(ownCpuUs),
    brokerCpuUs: perRequest(after.broker - before.broker),
    loadCpuUs: perRequest(after.load - before.load),
    rssBytes: byName(system, rssBytes),
  };
}

/** Processes of one name, the instances of a tier, are taken together. */
function byName({ processes }: RunningSystem, use: (pid: number) => number): Record<string, number> {
  const uses: Record<string, number> = {};
  for (const { name, pid } of processes) uses[name] = (uses[name] ?? 0) + use(pid);
  return uses;
}
