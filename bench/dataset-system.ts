import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { makePrivateKey, publicKeyOf } from '../bin/plain/sealing-keys.mjs';
import { START_MS } from './expect-answer.ts';
import { startProcess, WAYBILL_PRELOAD } from './start-process.ts';
import { startWaybill } from './waybill.ts';

/** The name of the dataset: a file of this name and `.npy`. */
export const DATASET = 'bench';

/** A Waybill that serves a dataset. */
export type DatasetSystem = {
  pids: number[];
  tcpPort: number;
  /** Asks for the dataset for a client with a queue of its own; resolves with the queue's name when all is confirmed there. */
  send(): Promise<string>;
};

/** Starts the tiers with a dataset-generator that has `<DATASET>.npy` in `folder`. */
export async function startDatasetSystem(amqpUrl: string, folder: string): Promise<DatasetSystem> {
  const broker = new URL(amqpUrl);
  const key = makePrivateKey();
  const tcpPort = await freePort();
  const generator = await startProcess({
    name: 'dataset-generator',
    program: 'packages/dataset-generator/src/main.ts',
    preload: [WAYBILL_PRELOAD],
    env: { GRPC_PORT: 0, HEALTH_PORT: 0, DATASETS_DIR: folder },
  });
  const { urls, listeners, processes } = await startWaybill({
    amqpUrl,
    listener: {
      program: 'packages/data-dispatch-listener/src/main.ts',
      env: {
        TCP_PORT: tcpPort,
        DATASET_NAME: DATASET,
        DATASET_SERVICE_ADDR: `127.0.0.1:${generator.port}`,
        CREDENTIALS_PRIVATE_KEYS: JSON.stringify(key),
      },
    },
    publicWebEnv: { CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(key)), CLIENT_BROKERS: broker.host },
  });
  /** Those who wait for a dataset, by client. */
  const waiting = new Map<string, () => void>();
  for (const { stdout } of listeners)
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.includes('"dataset sent"')) waiting.get(JSON.parse(line).client_id)?.();
    });

  return {
    pids: [generator, ...processes].map(({ pid }) => pid),
    tcpPort,
    async send() {
      const client = randomUUID();
      const sent = new Promise<void>((resolve) => waiting.set(client, resolve));
      await ask(client);
      await sent;
      waiting.delete(client);
      return client;
    },
  };

  async function ask(client: string): Promise<void> {
    const response = await fetch(`${urls.join()}/clients`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_id: client,
        queue_name: client,
        amqp_host: broker.hostname,
        amqp_port: Number(broker.port),
        amqp_user: broker.username,
        amqp_pass: broker.password,
      }),
      signal: AbortSignal.timeout(START_MS),
    });
    if (response.status !== 202) throw new Error(await response.text());
  }
}
