/**
 * Settings: environment variables, validated once at start with every fault in one message.
 *
 * Any setting `X` may also be given as `X_FILE`, the path of a file that holds its value (secrets from files). An empty
 * value is none.
 * A `config.ts` of a package lists its settings with these validators, and those that it alone needs; its type derives
 * from that list.
 */
import { readFileSync } from 'node:fs';
import {
  type CleanedEnv,
  customCleanEnv,
  EnvError,
  EnvMissingError,
  makeExactValidator,
  makeValidator,
  str,
} from 'envalid';
import { DEFAULT_EVENT_BYTES, LARGEST_EVENT_BYTES, LEAST_EVENT_BYTES } from './batch-limits.ts';
import { AppError } from './errors.ts';
import { meantBy } from './misspelt.ts';

export { EnvError, makeExactValidator, str } from 'envalid';

/** What a list of settings is made of. */
export type Settings = Parameters<typeof customCleanEnv>[1];

/** What must hold between settings, each of which is fine by itself. */
export type Relation<Config> = {
  settings: readonly (keyof Config & string)[];
  /** What is wrong, without repeating a value; `undefined` when nothing is. */
  fault(config: Config): string | undefined;
};

/**
 * Reads `settings` from `env`. Of `relations`, those are looked at whose settings have no fault.
 *
 * @throws AppError `invalid-config` whose message names every missing or wrong setting, one per line.
 */
export function loadConfig<S extends Settings>(
  settings: S,
  env: NodeJS.ProcessEnv = process.env,
  relations: readonly Relation<CleanedEnv<S>>[] = [],
): CleanedEnv<S> {
  const faults: string[] = [];
  const values = readFiles(Object.keys(settings as object), env, faults);
  const config = customCleanEnv(values, settings, (cleaned) => cleaned, {
    reporter: ({ errors }) => {
      for (const [name, error] of Object.entries(errors))
        faults.push(`  ${name}: ${explain(error, (settings as Record<string, Spec>)[name]?.desc)}`);
    },
  });
  const isFaulty = (name: string) => faults.some((fault) => new RegExp(`^  ${name}(_FILE)?:`).test(fault));
  for (const { settings: names, fault } of relations) {
    const found = names.some(isFaulty) ? undefined : fault(config as CleanedEnv<S>);
    if (found !== undefined) faults.push(`  ${names.join(', ')}: ${found}`);
  }
  if (faults.length > 0) {
    const doubts = misspeltIn(env, Object.keys(settings as object));
    const lines = [...faults, ...doubts.map((doubt) => `  ${doubt}`)];
    throw new AppError('invalid-config', `invalid settings:\n${lines.join('\n')}`);
  }
  return config as CleanedEnv<S>;
}

/**
 * What is set beside the settings in `config` and was probably meant as one of them, a sentence each. It is no fault: the
 * environment belongs to others as well.
 *
 * @param config as {@link loadConfig} has read it
 * @param env what somebody has set: where a program adds what it needs for what it starts, without that
 */
export function settingDoubts(config: object, env: NodeJS.ProcessEnv = process.env): string[] {
  return misspeltIn(env, Object.keys(config));
}

function misspeltIn(env: NodeJS.ProcessEnv, settings: string[]): string[] {
  const known = settings.flatMap((name) => [name, `${name}_FILE`]);
  const missing = known.filter((name) => !env[name]);
  return Object.keys(env).flatMap((name) => {
    const meant = known.includes(name) ? undefined : meantBy(name, missing);
    return meant === undefined ? [] : [`${name} is no setting: did you mean ${meant}?`];
  });
}

/** A TCP port; 0 lets the system choose. */
export const port = makeExactValidator<number>((text) => integer(text, 0, 65_535));

/** A whole number from 1 up. */
export const count = makeExactValidator<number>((text) => integer(text, 1, Number.MAX_SAFE_INTEGER));

/** An AMQP URL: `amqp://user:password@host:port/vhost`, or `amqps:`, whose user, password and vhost are percent-encoded. */
export const amqpUrl = makeValidator<string>((text) => {
  const checked = url(text, ['amqp:', 'amqps:']);
  const { username, password, pathname } = new URL(checked);
  if (![username, password, pathname].every(isPercentEncoded))
    throw new EnvError('has a % that begins no escape: write it as %25');
  return checked;
});

/** An `http:` or `https:` URL, without a slash at its end. */
export const httpUrl = makeValidator<string>((text) => url(text, ['http:', 'https:']).replace(/\/+$/, ''));

/** A comma-separated list of `http:` or `https:` URLs. */
export const httpUrls = makeExactValidator<string[]>((text) =>
  list(text).map((item) => url(item, ['http:', 'https:']).replace(/\/+$/, '')),
);

/** One or two comma-separated secrets of at least 32 characters: the first signs, all verify. */
export const secrets = makeExactValidator<string[]>((text) => {
  const items = list(text);
  if (items.length > 2) throw new EnvError('give one secret, or two while rotating');
  if (items.some((item) => item.length < 32))
    throw new EnvError('a secret has at least 32 characters (a comma separates two)');
  if (new Set(items).size < items.length) throw new EnvError('the two secrets must differ');
  return items;
});

/** pino's levels. */
export const logLevel = () =>
  str({
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace'],
    default: 'info',
    desc: 'Lowest level that is logged',
  });

/** How large an event may be, in bytes; of public-web and of listeners, so that one variable sets it for all. */
export const maxEventBytes = () =>
  makeExactValidator<number>((text) => integer(text, LEAST_EVENT_BYTES, LARGEST_EVENT_BYTES))({
    default: DEFAULT_EVENT_BYTES,
    desc: `Most bytes of an event, and of a body that clients send, from ${LEAST_EVENT_BYTES} to ${LARGEST_EVENT_BYTES}: public-web refuses what clients send beyond it, a listener what its handlers make. Give all the same (operations.md, Large events)`,
  });

/** A number of milliseconds, from 1 to what `setTimeout` can wait; a timer set to more fires at once. */
export const ms = makeExactValidator<number>((text) => integer(text, 1, 2 ** 31 - 1));

/** How long a process that was told to stop goes on serving, not ready any more: from none to a minute. */
export const shutdownPause = () =>
  makeExactValidator<number>((text) => integer(text, 0, 60_000))({
    default: 0,
    desc: 'How long, in ms, a process that is told to stop still takes connections after it says that it is not ready: two looks of the balancer before it; the images set 3000',
  });

type Spec = { desc?: string };

/** envalid's own message of a missing setting is its description alone. */
function explain(error: unknown, desc = ''): string {
  if (error instanceof EnvMissingError) return desc === '' ? 'is missing' : `is missing (${desc})`;
  return error instanceof Error ? error.message : String(error);
}

function readFiles(names: string[], env: NodeJS.ProcessEnv, faults: string[]): NodeJS.ProcessEnv {
  const values: NodeJS.ProcessEnv = {};
  for (const name of names) {
    const path = env[`${name}_FILE`];
    if (env[name] !== undefined && env[name] !== '') values[name] = env[name];
    else if (path) values[name] = readFile(name, path, faults);
  }
  return values;
}

function readFile(name: string, path: string, faults: string[]): string | undefined {
  try {
    const value = readFileSync(path, 'utf8').trim();
    // A secret that is not there yet must not pass for one that is not wanted.
    if (value === '') faults.push(`  ${name}_FILE: the file is empty`);
    return value || undefined;
  } catch (error) {
    // Without the path, which may be the secret itself.
    faults.push(`  ${name}_FILE: the file cannot be read: ${(error as NodeJS.ErrnoException).code}`);
    return undefined;
  }
}

/** As much of a wrong value as shows which it is. */
export function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** The whole number from `min` to `max` that `text` is, in decimal digits; throws when it is none. */
export function integer(text: string, min: number, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new EnvError(`${shown(text)} is not a whole number from ${min} to ${max}`);
  return value;
}

/** Faults never repeat the value: a URL may hold a password. */
function url(text: string, protocols: string[]): string {
  if (!URL.canParse(text)) throw new EnvError('not a URL');
  const { protocol, hostname } = new URL(text);
  if (!protocols.includes(protocol)) throw new EnvError(`must start with ${protocols.join('// or ')}//`);
  if (hostname === '') throw new EnvError('has no host');
  return text;
}

function isPercentEncoded(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Parses the JSON of a setting; else throws `refuse(…)`: what `JSON.parse` throws quotes its input, maybe a secret. */
export function settingJson(text: string, refuse: (reason: string) => AppError): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw refuse('it is not JSON');
  }
}

/** The items of a comma-separated list, trimmed; throws when there are none. */
export function list(text: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  const given = items.filter((item) => item !== '');
  if (given.length === 0) throw new EnvError('is empty');
  return given;
}
