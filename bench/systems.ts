/** What is compared: Waybill and its peers, each in processes of its own, asked the same by HTTP. */
import { type BenchProcess, startProcess } from './start-process.ts';
import { startWaybill, urlOf } from './waybill.ts';

export type StartContext = {
  amqpUrl: string;
  /** Settings that make a process export its telemetry; none when that is not measured. */
  telemetry?: (system: string, process: string) => Record<string, string>;
};

export type System = {
  name: string;
  /** What it is, in a few words for the reader of a table. */
  description: string;
  start(context: StartContext): Promise<RunningSystem>;
};

export type RunningSystem = {
  name: string;
  /** Where it is asked; load is spread over them. */
  urls: string[];
  processes: BenchProcess[];
};

/** The name that all ratios refer to. */
export const WAYBILL = 'waybill';

export const SYSTEMS: readonly System[] = [
  {
    name: 'echo',
    description: 'Fastify alone, the ceiling behind HTTP',
    start: (context) => startTiers('echo', context, { gateway: ['bench/hand-written/echo.ts'] }),
  },
  handWritten('two-tier-transient', 'transient', 'fastify + amqplib, nothing durable or confirmed'),
  handWritten('two-tier-durable', 'durable', 'fastify + amqplib, durable requests, no confirms'),
  handWritten('two-tier-confirmed', 'confirmed', 'fastify + amqplib, quorum queues and confirms both ways'),
  framework('nestjs', 'NestJS RMQ over fastify, durable requests, acks'),
  framework('moleculer', 'Moleculer over AMQP behind fastify, nothing durable or confirmed'),
  {
    name: WAYBILL,
    description: 'three tiers, everything stored and confirmed both ways',
    async start({ amqpUrl, telemetry }) {
      const { urls, processes } = await startWaybill({
        amqpUrl,
        env: (name) => telemetry?.(WAYBILL, name) ?? {},
      });
      return { name: WAYBILL, urls, processes };
    },
  },
];

function handWritten(name: string, guarantee: string, description: string): System {
  const tiers = {
    worker: ['bench/hand-written/worker.ts', guarantee],
    gateway: ['bench/hand-written/gateway.ts', guarantee],
  };
  return { name, description, start: (context) => startTiers(name, context, tiers) };
}

function framework(name: string, description: string): System {
  const tiers = {
    worker: [`bench/peers/${name}-worker.mjs`],
    gateway: [`bench/peers/${name}-gateway.mjs`],
  };
  return { name, description, start: (context) => startTiers(name, context, tiers) };
}

/** One after the other: the gateway of some looks for its worker. */
async function startTiers(
  name: string,
  { amqpUrl, telemetry }: StartContext,
  tiers: Record<string, string[]>,
): Promise<RunningSystem> {
  const processes: BenchProcess[] = [];
  for (const [tier, [program = '', ...args]] of Object.entries(tiers)) {
    const env = { AMQP_URL: amqpUrl, ...telemetry?.(name, tier) };
    const preload = telemetry ? ['./bench/peer-telemetry.ts'] : [];
    processes.push(await startProcess({ name: tier, program, args, preload, env }));
  }
  return { name, urls: processes.filter(({ port }) => port).map(urlOf), processes };
}
