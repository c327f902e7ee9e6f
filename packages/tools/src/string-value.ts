/** `google.protobuf.StringValue`: the message of a method that needs no more than a text. */
import protobuf from 'protobufjs';

const { root } = protobuf.parse(
  'syntax = "proto3"; package google.protobuf; message StringValue { string value = 1; }',
);
const message = root.lookupType('google.protobuf.StringValue');

/** Reads and writes it; in the form that `meshMethod` of a listener takes. */
export const stringValue = {
  name: 'google.protobuf.StringValue',
  encode: (value: string): Uint8Array => message.encode({ value }).finish(),
  decode: (bytes: Uint8Array): string => (message.decode(bytes) as unknown as { value: string }).value,
};
