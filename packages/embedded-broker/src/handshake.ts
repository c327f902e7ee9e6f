/** From the first method to an open connection: start, tune, open (AMQP 0-9-1, section 2.2.4). */
import { AmqpError } from './amqp-error.ts';
import type { Fields, Method, MethodName } from './codec/spec.ts';
import { type Field, readTable, type Table, text, textOf } from './codec/table.ts';
import { createReader } from './codec/wire.ts';
import type { Vhost } from './vhost.ts';

/** What a client and the broker have agreed on. */
export type Session = {
  user: string;
  vhost: Vhost;
  channelMax: number;
  maxFrameBytes: number;
  heartbeatS: number;
  isCancelNotified: boolean;
  isBlockNotified: boolean;
};

export type Handshake = {
  /** Greets a client that speaks the protocol. */
  begin(): void;
  /** Takes the client's next step; returns the session after the last. Throws for anything else. */
  next(method: Method): Session | undefined;
};

/** RabbitMQ's own. */
const CHANNEL_MAX = 2_047;
const MAX_FRAME_BYTES = 131_072;
const HEARTBEAT_S = 60;
/** The smallest frame size a client may ask for (AMQP 0-9-1, constant frame-min-size). */
const MIN_FRAME_BYTES = 4_096;

export function createHandshake(options: {
  users: Record<string, string>;
  vhosts: Map<string, Vhost>;
  send<N extends MethodName>(name: N, fields: Fields<N>): void;
  /** Ends a connection without a word, for a client that does not understand why. */
  hangUp(): void;
}): Handshake {
  const { send } = options;
  const session: Partial<Session> = {};
  let expected: MethodName = 'connection.start-ok';

  function start({ clientProperties, mechanism, response }: Fields<'connection.start-ok'>): void {
    const capabilities = clientProperties.get('capabilities');
    const can = (name: string) => capabilities?.type === 'F' && capabilities.value.get(name)?.value === true;
    session.isCancelNotified = can('consumer_cancel_notify');
    session.isBlockNotified = can('connection.blocked');
    const { user, password } = readCredentials(mechanism, response);
    if (options.users[user] !== password) refuse(mechanism, can('authentication_failure_close'));
    else accept(user);
  }

  function accept(user: string): void {
    session.user = user;
    expected = 'connection.tune-ok';
    send('connection.tune', { channelMax: CHANNEL_MAX, frameMax: MAX_FRAME_BYTES, heartbeat: HEARTBEAT_S });
  }

  function refuse(mechanism: string, isUnderstood: boolean): void {
    const why = `Login was refused using authentication mechanism ${mechanism}.`;
    if (isUnderstood) throw new AmqpError('ACCESS_REFUSED', why, { isHard: true });
    options.hangUp();
  }

  function tune({ channelMax, frameMax, heartbeat }: Fields<'connection.tune-ok'>): void {
    session.channelMax = negotiated({ name: 'channel_max', value: channelMax, min: 1, max: CHANNEL_MAX });
    session.maxFrameBytes = negotiated({
      name: 'frame_max',
      value: frameMax,
      min: MIN_FRAME_BYTES,
      max: MAX_FRAME_BYTES,
    });
    session.heartbeatS = heartbeat;
    expected = 'connection.open';
  }

  function open({ vhost: name }: Fields<'connection.open'>): Session {
    session.vhost = options.vhosts.get(name);
    if (!session.vhost) throw new AmqpError('NOT_ALLOWED', `vhost ${name} not found`);
    send('connection.open-ok', { reserved1: '' });
    return session as Session;
  }

  return {
    begin() {
      send('connection.start', {
        versionMajor: 0,
        versionMinor: 9,
        serverProperties,
        mechanisms: Buffer.from('PLAIN AMQPLAIN'),
        locales: Buffer.from('en_US'),
      });
    },
    next(method) {
      if (method.name !== expected)
        throw new AmqpError('COMMAND_INVALID', `${expected} expected, got ${method.name}`);
      if (method.name === 'connection.start-ok') start(method.fields);
      if (method.name === 'connection.tune-ok') tune(method.fields);
      return method.name === 'connection.open' ? open(method.fields) : undefined;
    },
  };
}

function flags(...names: string[]): Field {
  return { type: 'F', value: new Map(names.map((name) => [name, { type: 't', value: true }])) };
}

const serverProperties: Table = new Map<string, Field>([
  ['product', text('Waybill embedded broker')],
  ['platform', text('Node.js')],
  ['information', text('In memory, for development and tests only')],
  [
    'capabilities',
    flags(
      'publisher_confirms',
      'exchange_exchange_bindings',
      'basic.nack',
      'consumer_cancel_notify',
      'connection.blocked',
      'authentication_failure_close',
      'per_consumer_qos',
      'direct_reply_to',
    ),
  ],
]);

type Credentials = { user: string; password: string };

/** SASL PLAIN (RFC 4616), and AMQP 0-8's own AMQPLAIN: a table without its length. */
function readCredentials(mechanism: string, response: Buffer): Credentials {
  if (mechanism === 'PLAIN') {
    const [, user = '', password = ''] = String(response).split('\0');
    return { user, password };
  }
  if (mechanism !== 'AMQPLAIN')
    throw new AmqpError('COMMAND_INVALID', `unknown authentication mechanism '${mechanism}'`);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(response.length);
  const table = readTable(createReader(Buffer.concat([length, response])));
  return { user: textOf(table.get('LOGIN')) ?? '', password: textOf(table.get('PASSWORD')) ?? '' };
}

/** 0 asks for no limit, which is more than any. */
function negotiated({
  name,
  value,
  min,
  max,
}: {
  name: string;
  value: number;
  min: number;
  max: number;
}): number {
  const says = `negotiated ${name} = ${value}`;
  if (value === 0 || value > max)
    throw new AmqpError('NOT_ALLOWED', `${says} is higher than the maximum allowed value (${max})`);
  if (value < min)
    throw new AmqpError('NOT_ALLOWED', `${says} is lower than the minimum allowed value (${min})`);
  return value;
}
