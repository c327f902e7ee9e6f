/** Where the broker listens, from the environment. */
export type Config = { port: number };

const DEFAULT_PORT = 5672;

/** Reads `AMQP_PORT`, or `PORT`. Throws an `Error` that says what to set. */
export function loadConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const name = env.AMQP_PORT ? 'AMQP_PORT' : 'PORT';
  const value = env[name] || String(DEFAULT_PORT);
  const port = Number(value);
  if (/^\d+$/.test(value) && port <= 65_535) return { port };
  throw new Error(`${name} is "${value}": set a port number from 0 (any free one) to 65535`);
}
