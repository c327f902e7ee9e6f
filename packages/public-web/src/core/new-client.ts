/** What a client's backend sends to have a dataset sent to the client, checked. */
import { AMQP_PORT } from '@waybill/common/credentials/broker-address.ts';
import { AppError } from '@waybill/common/errors.ts';

/** The fields of `data_dispatcher_service.NewClientRequest`, over gRPC and HTTP alike. */
export type NewClient = {
  client_id: string;
  queue_name: string;
  amqp_host: string;
  amqp_port: number;
  amqp_user: string;
  amqp_pass: string;
};

const REQUIRED = ['client_id', 'queue_name', 'amqp_host', 'amqp_user', 'amqp_pass'] as const;
const NAME = /^[\w.:-]{1,128}$/;
/** The broker's own names, and those of this system's queues. */
const RESERVED_QUEUES = ['amq.', 'waybill.'];
/** RabbitMQ's own bound of a user name. */
const MAX_CREDENTIAL_LENGTH = 255;

/**
 * Checks the fields; a port of 0 or none becomes 5672, fields of other names are dropped. Whether the broker is
 * allowed is not asked here.
 *
 * @throws AppError `invalid-request` that names the field at fault and repeats no value.
 */
export function toNewClient(value: unknown): NewClient {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid('the request must be a JSON object');
  const fields = value as Record<string, unknown>;
  for (const name of REQUIRED)
    if (fields[name] === undefined || fields[name] === null || fields[name] === '')
      throw invalid(`${name} is required`);
  return {
    client_id: toName('client_id', fields.client_id),
    queue_name: toQueueName(fields.queue_name),
    amqp_host: toText('amqp_host', fields.amqp_host),
    amqp_port: toPort(fields.amqp_port),
    amqp_user: toText('amqp_user', fields.amqp_user),
    amqp_pass: toText('amqp_pass', fields.amqp_pass),
  };
}

function toName(field: string, value: unknown): string {
  if (typeof value !== 'string' || !NAME.test(value)) throw invalid(`${field} must match ${NAME.source}`);
  return value;
}

function toQueueName(value: unknown): string {
  const name = toName('queue_name', value);
  for (const prefix of RESERVED_QUEUES)
    if (name.startsWith(prefix)) throw invalid(`queue_name must not start with ${prefix}`);
  return name;
}

/** NUL separates user and password in SASL PLAIN (RFC 4616); half a surrogate pair would change on its way. */
function toText(field: string, value: unknown): string {
  const isText =
    typeof value === 'string' &&
    value.length <= MAX_CREDENTIAL_LENGTH &&
    !value.includes('\0') &&
    value.isWellFormed();
  if (!isText) throw invalid(`${field} must be text of 1 to ${MAX_CREDENTIAL_LENGTH} characters without NUL`);
  return value;
}

function toPort(value: unknown): number {
  const port = (value ?? 0) === 0 ? AMQP_PORT : value;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid(`amqp_port must be a whole number from 1 to 65535, or 0 for ${AMQP_PORT}`);
  return port;
}

function invalid(message: string): AppError {
  return new AppError('invalid-request', message);
}
