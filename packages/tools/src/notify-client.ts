/** Tells public-web of a client, over gRPC or over HTTP. */
import { createSecureContext } from 'node:tls';
import { credentials, Metadata, type ServiceError, status as Status } from '@grpc/grpc-js';
import type { NewClientResponse__Output } from '@waybill/common/grpc/generated/data_dispatcher_service/NewClientResponse.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';

const TIMEOUT_MS = 10_000;

type NewClient = {
  client_id: string;
  queue_name: string;
  amqp_host: string;
  amqp_port: number;
  amqp_user: string;
  amqp_pass: string;
};
/** `streamId` is told over HTTP only. */
export type Accepted = { message: string; streamId: string | undefined };

/**
 * @param address host:port, or https://host:port
 * @throws UserError with the reason of the answer, or why there is none
 */
export async function notifyByGrpc(address: string, client: NewClient): Promise<Accepted> {
  const { data_dispatcher_service } = loadPackage('data_dispatcher_service.proto');
  const target = address.replace(/^https:\/\//, '');
  // Not createSsl: variables of gRPC's own would decide there which authorities are trusted.
  const security =
    target === address
      ? credentials.createInsecure()
      : credentials.createFromSecureContext(createSecureContext());
  // A proxy that the environment names would get the password.
  const options = { 'grpc.enable_http_proxy': 0 };
  const stub = new data_dispatcher_service.DataDispatcherService(target, security, options);
  try {
    const { status, message } = await new Promise<NewClientResponse__Output>((resolve, reject) => {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(apiKeyHeaders())) metadata.set(name, value);
      stub.NotifyNewClient(client, metadata, { deadline: Date.now() + TIMEOUT_MS }, (error, answer) =>
        error ? reject(explain(address, error)) : resolve(answer as NewClientResponse__Output),
      );
    });
    if (status !== 'OK') throw new UserError(`${address} answered ${status}: ${message}`);
    return { message, streamId: undefined };
  } finally {
    stub.close();
  }
}

/**
 * @param url of public-web
 * @throws UserError with the problem of the answer, or why there is none
 */
export async function notifyByHttp(url: string, client: NewClient): Promise<Accepted> {
  const endpoint = `${url.replace(/\/+$/, '')}/clients`;
  const { response, answer } = await post(endpoint, client);
  if (response.status !== 202) {
    const { title = response.statusText, detail } = answer;
    throw new UserError(`${endpoint} answered ${response.status} ${title}${detail ? `: ${detail}` : ''}`);
  }
  return { message: answer.message ?? 'accepted', streamId: answer.stream_id };
}

function explain(address: string, { code, details, message }: ServiceError): UserError {
  if (code === Status.UNAVAILABLE)
    return new UserError(`nothing answers at ${address}: is Waybill running? (${details})`);
  if (code === Status.UNAUTHENTICATED || code === Status.PERMISSION_DENIED)
    return new UserError(`${address} refuses the call: ${details} (WAYBILL_API_KEY)`);
  if (code === Status.DEADLINE_EXCEEDED)
    return new UserError(`no answer from ${address} within ${TIMEOUT_MS / 1000} s`);
  return new UserError(`the call to ${address} failed: ${message}`);
}

async function post(
  url: string,
  client: NewClient,
): Promise<{
  response: Response;
  answer: { title?: string; detail?: string; message?: string; stream_id?: string };
}> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...apiKeyHeaders() },
      body: JSON.stringify(client),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { response, answer: parse(await response.text()) };
  } catch (error) {
    const { name, message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    if (name === 'TimeoutError') throw new UserError(`no answer from ${url} within ${TIMEOUT_MS / 1000} s`);
    if (cause?.code === 'ECONNREFUSED') throw new UserError(`nothing listens at ${url}: is Waybill running?`);
    throw new UserError(`the request to ${url} failed: ${cause?.message || message}`);
  }
}

/** @returns none without a key; a variable, because lists of processes show options */
function apiKeyHeaders(): Record<string, string> {
  const key = process.env.WAYBILL_API_KEY;
  return key ? { authorization: `Bearer ${key}` } : {};
}

function parse(text: string) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
