import { execFile } from 'node:child_process';
import { cpus, totalmem } from 'node:os';
import { promisify } from 'node:util';
import { findRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { wrkVersion } from './wrk.ts';

/** What figures depend on besides the systems. */
export type Machine = {
  cpu: string;
  cores: number;
  memoryMb: number;
  node: string;
  rabbitmq: string;
  wrk: string;
};

/** @throws when something that a measurement needs is not installed. */
export async function describeMachine(): Promise<Machine> {
  const wrk = await wrkVersion();
  if (!wrk) throw new Error('wrk is not installed: apt-get install wrk, or see https://github.com/wg/wrk');
  const scripts = findRabbitmq();
  if (!scripts) throw new Error('RabbitMQ is not installed: apt-get install rabbitmq-server');
  const { stdout } = await promisify(execFile)(`${scripts}/rabbitmqctl`, ['version']);
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 1024 ** 2),
    node: process.version,
    rabbitmq: stdout.trim(),
    wrk,
  };
}
