/** How programs connect to public-web's gRPC port, what they show there, and what they say when it fails. */
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import {
  type ChannelOptions,
  type Client,
  credentials,
  Metadata,
  type ServiceError,
  status as Status,
} from '@grpc/grpc-js';
import { UserError } from '../../../bin/plain/user-error.mjs';

type ClientOf<Stub> = new (...of: ConstructorParameters<typeof Client>) => Stub;

/**
 * A client of the service at `address`: host:port, or https://host:port, where it shows the certificate of WAYBILL_CERT_FILE and
 * WAYBILL_KEY_FILE, if they are set.
 *
 * @throws UserError when these cannot be read
 */
export function connectGrpc<Stub>(
  Service: ClientOf<Stub>,
  address: string,
  options: ChannelOptions = {},
): Stub {
  const target = address.replace(/^https:\/\//, '');
  // Not createSsl: variables of gRPC's own would decide there which authorities are trusted.
  const security =
    target === address ? credentials.createInsecure() : credentials.createFromSecureContext(ownContext());
  // A proxy that the environment names would get passwords and keys.
  return new Service(target, security, { 'grpc.enable_http_proxy': 0, ...options });
}

/** Variables, as that of the key is: they belong to whoever calls, and not to a call. */
function ownContext(): SecureContext {
  const { WAYBILL_CERT_FILE: cert, WAYBILL_KEY_FILE: key } = process.env;
  if (!cert && !key) return createSecureContext();
  try {
    return createSecureContext({ cert: readFileSync(cert ?? ''), key: readFileSync(key ?? '') });
  } catch (error) {
    throw new UserError(`WAYBILL_CERT_FILE, WAYBILL_KEY_FILE: ${(error as Error).message}`);
  }
}

/** The headers that show the key; none without one. A variable, because lists of processes show options. */
export function apiKeyHeaders(): Record<string, string> {
  const key = process.env.WAYBILL_API_KEY;
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Metadata with `own`, and the key. */
export function metadataOf(own: Record<string, string> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries({ ...own, ...apiKeyHeaders() })) metadata.set(name, value);
  return metadata;
}

/** A server that is shown none closes the connection without a word of why. */
const ASKS_FOR_CERTIFICATE =
  '\nOne that asks for a certificate (GRPC_CLIENT_CA) is shown that of WAYBILL_CERT_FILE and WAYBILL_KEY_FILE';

/** What the user is told of a call that failed. */
export function explainGrpc(address: string, { code, details, message }: ServiceError): UserError {
  if (code === Status.UNAVAILABLE) {
    const isShown = !address.startsWith('https://') || process.env.WAYBILL_CERT_FILE;
    const hint = isShown ? '' : ASKS_FOR_CERTIFICATE;
    return new UserError(`nothing answers at ${address}: is Waybill running? (${details})${hint}`);
  }
  if (code === Status.UNAUTHENTICATED || code === Status.PERMISSION_DENIED)
    return new UserError(`${address} refuses the call: ${details} (WAYBILL_API_KEY)`);
  return new UserError(`the call to ${address} failed: ${message}`);
}
