/** The messages of a call, from the command line and for the terminal. */
import { readFileSync } from 'node:fs';
import { loadSync, type MethodDefinition, type ServiceDefinition } from '@grpc/proto-loader';
import { readServiceMethods } from '@waybill/common/grpc/service-methods.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import type { Any } from './mesh-client.ts';
import { stringValue } from './string-value.ts';

/** How the messages of one method are written down. */
export type MessageText = {
  /** @throws UserError for what is none of the method's input. */
  toInput(data: string | undefined): Any | undefined;
  toText(output: Any): string;
};

/** Text is a `google.protobuf.StringValue`; of any other message the bytes are shown, in base64. */
export const asString: MessageText = {
  toInput: (data) => (data === undefined ? undefined : toAny(stringValue.name, stringValue.encode(data))),
  toText({ type_url, value }) {
    if (typeName(type_url) === stringValue.name) return stringValue.decode(value);
    return `${type_url}, ${value.length} bytes: ${value.toString('base64')}`;
  },
};

/**
 * JSON of the messages that the file `path` declares for a method.
 *
 * @throws UserError when it cannot be read, or has no such method
 */
export function asDeclared(path: string, service: string, method: string): MessageText {
  const definition = load(path);
  const names = readServiceMethods(definition).get(service)?.get(method);
  const declared = (definition[service] as ServiceDefinition | undefined)?.[method] as
    | MethodDefinition<object, object>
    | undefined;
  if (!names || !declared) throw new UserError(`${path} declares no method ${method} of ${service}`);
  return {
    toInput: (data = '{}') => toAny(names.input, declared.requestSerialize(parse(data))),
    toText(output) {
      if (typeName(output.type_url) !== names.output) return asString.toText(output);
      return JSON.stringify(declared.responseDeserialize(output.value), null, 2);
    },
  };
}

function toAny(name: string, value: Uint8Array): Any {
  return { type_url: `type.googleapis.com/${name}`, value: Buffer.from(value) };
}

/** What stands before the name is not said to mean anything. */
function typeName(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf('/') + 1);
}

function load(path: string) {
  try {
    readFileSync(path);
    return loadSync(path, { keepCase: true, longs: String, enums: String, bytes: String, defaults: true });
  } catch (error) {
    throw new UserError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function parse(data: string): object {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null) return value;
  } catch {
    // Told below.
  }
  throw new UserError('--data must be a JSON object of the fields of the input, as there is a --proto');
}
