/**
 * The settings of services as each will read them itself, looked at before any of them runs: else a fault is told in the
 * last stage, long after the start. A service's `config.ts` is found by its path, as its `main.ts` is.
 */
import { pathToFileURL } from 'node:url';
import { settingDoubts } from '@waybill/common/config.ts';
import { AppError } from '@waybill/common/errors.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import type { Service } from './run-services.ts';

type LoadConfig = (env: NodeJS.ProcessEnv) => object;

/**
 * @param given what the user has set
 * @returns what was probably meant as a setting, a sentence each
 * @throws UserError names every fault, once
 */
export async function checkSettings(services: Service[], given: NodeJS.ProcessEnv): Promise<string[]> {
  const faults = new Set<string>();
  const doubts = new Set<string>();
  for (const { settings, env } of services) {
    const load = settings && (await findLoader(settings));
    if (!load) continue;
    try {
      for (const doubt of settingDoubts(load(env), given)) doubts.add(doubt);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      for (const fault of error.message.split('\n').slice(1)) faults.add(fault);
    }
  }
  if (faults.size > 0) throw new UserError(['invalid settings:', ...faults].join('\n'));
  return [...doubts];
}

async function findLoader(path: string): Promise<LoadConfig | undefined> {
  const module = await import(pathToFileURL(path).href);
  const [, load] = Object.entries(module).find(([name]) => /^load\w+Config$/.test(name)) ?? [];
  return load as LoadConfig | undefined;
}
