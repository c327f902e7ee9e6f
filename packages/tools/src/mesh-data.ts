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
    toInput(data = '{}') {
      const fields = parse(data);
      const value = write(declared.requestSerialize, fields);
      assertKept(fields, declared.requestDeserialize(value), names.input);
      return toAny(names.input, value);
    },
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

function write(serialize: (fields: object) => Buffer, fields: object): Buffer {
  try {
    return serialize(fields);
  } catch (error) {
    throw new UserError(`--data: ${(error as Error).message.replace(/^\./, '')}`);
  }
}

function parse(data: string): object {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  } catch {
    // Told below.
  }
  throw new UserError('--data must be a JSON object of the fields of the input, as there is a --proto');
}

/**
 * What is written leaves out fields that are not declared, and makes something of values that are none of their fields: neither
 * must be sent in the user's name.
 *
 * @throws UserError that names the field
 */
function assertKept(given: unknown, written: unknown, path: string): void {
  if (typeof given !== 'object' || given === null || typeof written !== 'object' || written === null) {
    if (given === null || isSame(given, written)) return;
    throw new UserError(`--data: ${path} cannot be ${JSON.stringify(given)}`);
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(written, name)) throw new UserError(`--data: ${path} has no field ${name}`);
    assertKept(value, Reflect.get(written, name), `${path}.${name}`);
  }
}

/** As far as each can be written in two ways: enums by number, floats in more digits than they have, base64 without its end. */
function isSame(given: unknown, written: unknown): boolean {
  const text = (value: unknown) => String(value).replace(/=+$/, '');
  if (typeof given === 'object' || typeof written === 'object') return false;
  if (typeof given === 'number' && typeof written === 'string' && /^[A-Za-z_]/.test(written)) return true;
  return text(given) === text(written) || (typeof given === 'number' && Math.fround(given) === written);
}
