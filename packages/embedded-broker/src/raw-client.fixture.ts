/** A client without manners: it writes what it is told to, and tells what comes back. */
import { EventEmitter, on, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createFrameReader, encodeMethodFrame, METHOD_FRAME } from './codec/frames.ts';
import { decodeMethod } from './codec/method.ts';
import type { Fields, Method, MethodName } from './codec/spec.ts';
import { type Table, text } from './codec/table.ts';

export type RawClient = {
  socket: Socket;
  write(bytes: Buffer | number[]): void;
  send<N extends MethodName>(channelId: number, name: N, fields: Fields<N>): void;
  /** The next method; undefined at the end of the connection. Other frames are passed over. */
  next(): Promise<Method | undefined>;
  /** Passes over all before the method of that name. */
  until<N extends MethodName>(name: N): Promise<Fields<N>>;
  /** Resolves with all methods that still come when the connection ends. */
  rest(): Promise<Method[]>;
};

export type Greeting = {
  channelMax?: number;
  frameMax?: number;
  heartbeat?: number;
  vhost?: string;
  user?: string;
  password?: string;
  mechanism?: string;
  response?: Buffer;
  capabilities?: string[];
};

export const PROTOCOL_HEADER = Buffer.from('AMQP\x00\x00\x09\x01', 'latin1');
/** What a client says that has done. */
export const bye = { replyCode: 200, replyText: 'bye', classId: 0, methodId: 0 };
const TIMEOUT_MS = 9_000;

export async function connectRaw(url: string, t: TestContext): Promise<RawClient> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  t.after(() => socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  const methods = methodsFrom(socket);
  const next = async () => (await methods.next()).value ?? undefined;
  return {
    socket,
    write: (bytes) => void socket.write(Buffer.from(bytes)),
    send: (channelId, name, fields) => void socket.write(encodeMethodFrame(channelId, name, fields)),
    next,
    async until(name) {
      for (let method = await next(); method; method = await next())
        if (method.name === name) return method.fields as Fields<typeof name>;
      throw new Error(`the connection ended before ${name}`);
    },
    async rest() {
      const all = [];
      for (let method = await next(); method; method = await next()) all.push(method);
      return all;
    },
  };
}

/** Up to the open connection, or as far as the broker lets it. */
export async function greet(client: RawClient, url: string, options: Greeting = {}): Promise<void> {
  const vhost = decodeURIComponent(new URL(url).pathname.slice(1)) || '/';
  client.write(greeting({ vhost, ...options }));
}

/** All that a client says to open a connection. */
export function greeting(options: Greeting = {}): Buffer {
  const { channelMax = 2_047, frameMax = 131_072, heartbeat = 0, vhost = '/' } = options;
  const {
    user = 'guest',
    password = 'guest',
    mechanism = 'PLAIN',
    capabilities = ['authentication_failure_close', 'connection.blocked'],
  } = options;
  const can: Table = new Map(capabilities.map((name) => [name, { type: 't', value: true }]));
  return Buffer.concat([
    PROTOCOL_HEADER,
    encodeMethodFrame(0, 'connection.start-ok', {
      clientProperties: new Map([
        ['product', text('raw')],
        ['capabilities', { type: 'F', value: can }],
      ]),
      mechanism,
      response: options.response ?? Buffer.from(`\0${user}\0${password}`),
      locale: 'en_US',
    }),
    encodeMethodFrame(0, 'connection.tune-ok', { channelMax, frameMax, heartbeat }),
    encodeMethodFrame(0, 'connection.open', { vhost, reserved1: '', reserved2: false }),
  ]);
}

/** An open connection with channel 1 open. */
export async function openRaw(url: string, t: TestContext, greeting: Greeting = {}): Promise<RawClient> {
  const client = await connectRaw(url, t);
  await greet(client, url, greeting);
  await client.until('connection.open-ok');
  client.send(1, 'channel.open', { reserved1: '' });
  await client.until('channel.open-ok');
  return client;
}

/** A frame of any kind, good or bad. */
export function frame(type: number, channelId: number, payload: Buffer | number[], end = 0xce): Buffer {
  const head = Buffer.alloc(7);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(channelId, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, Buffer.from(payload), Buffer.from([end])]);
}

async function* methodsFrom(socket: Socket): AsyncGenerator<Method> {
  const reader = createFrameReader();
  for await (const chunk of chunksFrom(socket)) {
    reader.push(chunk);
    for (let next = reader.next(2 ** 31); next; next = reader.next(2 ** 31))
      if (next.type === METHOD_FRAME) yield decodeMethod(next.payload);
  }
}

/** A reset is an end as well: brokers leave unread what comes after a fault. */
async function* chunksFrom(socket: Socket): AsyncGenerator<Buffer> {
  const arrivals = new EventEmitter();
  socket.on('data', (chunk) => arrivals.emit('data', chunk));
  socket.on('close', () => arrivals.emit('end'));
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  for await (const [chunk] of on(arrivals, 'data', { close: ['end'], signal })) yield chunk;
}
