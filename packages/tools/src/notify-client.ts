/** Tells public-web of a client, over gRPC or over HTTP. */
import { type ServiceError, status as Status } from '@grpc/grpc-js';
import type { NewClientResponse__Output as Answer } from '@waybill/common/grpc/generated/data_dispatcher_service/NewClientResponse.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { apiKeyHeaders, connectGrpc, explainGrpc, metadataOf } from './grpc-connection.ts';

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
  const { DataDispatcherService } = loadPackage('data_dispatcher_service.proto').data_dispatcher_service;
  const stub = connectGrpc(DataDispatcherService, address);
  try {
    const { status, message } = await new Promise<Answer>((resolve, reject) => {
      stub.NotifyNewClient(client, metadataOf(), { deadline: Date.now() + TIMEOUT_MS }, (error, answer) =>
        error ? reject(explain(address, error)) : resolve(answer as Answer),
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

function explain(address: string, error: ServiceError): UserError {
  if (error.code === Status.DEADLINE_EXCEEDED)
    return new UserError(`no answer from ${address} within ${TIMEOUT_MS / 1000} s`);
  return explainGrpc(address, error);
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

function parse(text: string) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
