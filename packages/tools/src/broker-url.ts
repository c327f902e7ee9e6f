import { amqpUrl, loadConfig } from '@waybill/common/config.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';

const DEFAULT_URL = 'amqp://guest:guest@localhost:5672';

/**
 * The broker's URL as the services find it, in AMQP_URL or the file that AMQP_URL_FILE names; without both that of a
 * RabbitMQ on this machine as it is installed.
 *
 * @throws UserError that does not repeat what is wrong: it may hold a password
 */
export function readBrokerUrl(env: NodeJS.ProcessEnv): string {
  try {
    return loadConfig({ AMQP_URL: amqpUrl({ default: DEFAULT_URL }) }, env).AMQP_URL;
  } catch (error) {
    const [, fault = ''] = (error as Error).message.split('\n');
    throw new UserError(fault.trim());
  }
}
