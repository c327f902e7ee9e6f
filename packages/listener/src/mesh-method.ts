/**
 * Methods of a mesh, typed. A call of the mesh is an event (docs/mesh.md): its type is `<namespace>.<Service>.<Method>`, its data a
 * protobuf message whose type the extension `typeurl` names, and so is the reply's.
 */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { HandlerContext, HandlerWithOptions, NewEvent } from './handler.ts';
import { InvalidDataError } from './invalid-data.ts';

/** A protobuf message, as whichever library reads and writes it. */
export type MessageType<Message> = {
  /** Its full name, such as `acme.Name`. */
  name: string;
  decode(bytes: Uint8Array): Message;
  encode(message: Message): Uint8Array;
};

/** What else a method is told of a call. */
export type MeshCall = HandlerContext & {
  event: CloudEvent;
  /** What the caller said beside the input: the `execution_context` of a Serve, the `routing_hints` of a Dispatch. */
  executionContext: Readonly<Record<string, string>>;
};

/**
 * The handler of a method of the mesh. A caller whose input is another message is told 400, without a retry or a dead letter; one
 * that gives none has set no field of it.
 *
 * @example
 * await runListener({
 *   service: 'greeter',
 *   handlers: {
 *     'acme.Greeter.Greet': meshMethod({
 *       input: Name,
 *       output: Greeting,
 *       handle: ({ text }) => ({ text: `Hello, ${text}` }),
 *     }),
 *   },
 * });
 */
export function meshMethod<Input, Output>({
  input,
  output,
  handle,
  ...options
}: {
  input: MessageType<Input>;
  output: MessageType<Output>;
  handle(input: Input, call: MeshCall): Promise<Output> | Output;
} & Pick<HandlerWithOptions, 'maxAttempts' | 'timeoutMs'>): HandlerWithOptions {
  return {
    ...options,
    async handle(event, context) {
      const executionContext = readContext(event);
      const answer = await handle(read(event, input), { ...context, event, executionContext });
      const reply: NewEvent & { typeurl: string } = {
        type: `${event.type.slice(0, MAX_TYPE_LENGTH - RESPONSE.length)}${RESPONSE}`,
        datacontenttype: 'application/protobuf',
        data: output.encode(answer),
        typeurl: `type.googleapis.com/${output.name}`,
      };
      return { reply };
    },
  };
}

const RESPONSE = '.Response';
/** Of an event's type. */
const MAX_TYPE_LENGTH = 128;

function read<Input>({ typeurl, data_base64 = '' }: CloudEvent, { name, decode }: MessageType<Input>): Input {
  // What stands before the name is the caller's affair (any.proto).
  const given = typeurl === undefined ? name : String(typeurl).slice(String(typeurl).lastIndexOf('/') + 1);
  if (given !== name) throw new InvalidDataError([{ message: `must be a ${name}, and is a ${given}` }]);
  try {
    return decode(Buffer.from(data_base64, 'base64'));
  } catch {
    throw new InvalidDataError([{ message: `must be a ${name}, and cannot be read as one` }]);
  }
}

/** None where somebody else has sent the event, and what he says is no context. */
function readContext({ executioncontext }: CloudEvent): Record<string, string> {
  try {
    const context: unknown = JSON.parse(String(executioncontext ?? '{}'));
    return typeof context === 'object' && context !== null ? (context as Record<string, string>) : {};
  } catch {
    return {};
  }
}
