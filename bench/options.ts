import { parseArgs } from 'node:util';
import { SYSTEMS, type System, WAYBILL } from './systems.ts';

export type ComparisonOptions = {
  /** Waybill is always one of them, and comes last. */
  systems: System[];
  connections: number[];
  /** Of one measurement. */
  seconds: number;
  rounds: number;
  hasTelemetry: boolean;
  /** Folder for the results. */
  out: string;
};

/** Reads the arguments of `npm run bench`. @throws when one makes no sense. */
export function readOptions(args: readonly string[]): ComparisonOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      peers: { type: 'string', default: SYSTEMS.map(({ name }) => name).join() },
      connections: { type: 'string', default: '1,16,64,256,1024' },
      seconds: { type: 'string', default: '8' },
      rounds: { type: 'string', default: '3' },
      tracing: { type: 'boolean', default: false },
      out: { type: 'string', default: 'bench/results' },
    },
  });
  return {
    systems: selectSystems(values.peers.split(',').filter(Boolean)),
    connections: values.connections.split(',').map((value) => toCount('connections', value)),
    seconds: toCount('seconds', values.seconds),
    rounds: toCount('rounds', values.rounds),
    hasTelemetry: values.tracing,
    out: values.out,
  };
}

/** A whole number of at least one. @throws naming the option otherwise. */
export function toCount(option: string, value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1) throw new Error(`--${option}: ${value} is not a count`);
  return count;
}

function selectSystems(names: string[]): System[] {
  const known = SYSTEMS.map(({ name }) => name);
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`--peers: no ${unknown.join(', ')} among ${known.join(', ')}`);
  return SYSTEMS.filter(({ name }) => name === WAYBILL || names.includes(name));
}
