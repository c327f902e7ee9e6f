import { isIP, isIPv6 } from 'node:net';
import { count, EnvError, loadConfig, makeExactValidator, ms, port, str } from '@waybill/common/config.ts';
import { brokerAddresses } from '@waybill/common/credentials/broker-address.ts';
import { parsePrivateJwks } from '@waybill/common/credentials/credential-keys.ts';
import { listenerSettings } from '@waybill/listener/config.ts';

/** With TLS by name only: grpc-js sends the host as the server's name (SNI), which Node refuses to be an address. */
const grpcAddress = makeExactValidator<string>((text) => {
  const { scheme, v6, name = '', digits } = ADDRESS.exec(text)?.groups ?? {};
  const isHost = v6 === undefined ? name !== '' : isIPv6(v6);
  // The value is not repeated: who gives a URL by mistake may give a password with it.
  if (!isHost || Number(digits) < 1 || Number(digits) > 65_535)
    throw new EnvError('give host:port (IPv6 as [::1]:50061), or https://name:port');
  if (scheme && (v6 || isIP(name))) throw new EnvError('with https://, give a name, no address');
  return text;
});

const ADDRESS =
  /^(?<scheme>https:\/\/)?(?:\[(?<v6>[^[\]]+)\]|(?<name>[A-Za-z0-9][\w.-]*)):(?<digits>\d{1,5})$/;

/** The private keys that open clients' credentials: an X25519 JWK with a `kid`, or an array of one or two, as JSON. */
const jwks = makeExactValidator(parsePrivateJwks);

/** Settings of data-dispatch-listener. */
export const dataDispatchSettings = {
  ...listenerSettings,
  DATASET_SERVICE_ADDR: grpcAddress({
    default: 'localhost:50061',
    desc: 'The dataset service (gRPC), as host:port, or https://host:port if it speaks TLS',
  }),
  DATASET_NAME: str({ default: 'mnist', desc: 'The dataset that clients get' }),
  BATCH_SIZE: count({ default: 30, desc: 'Samples per batch' }),
  MAX_RETRIES: count({
    default: 3,
    desc: 'How often fetching or publishing a batch is tried again at once, before the chunk is put aside',
  }),
  CHUNK_ATTEMPTS: count({
    default: 10,
    desc: 'Attempts in a row that may fail without a batch arriving, before the stream is given up; they take 0.2, 1, 5, 5 … s',
  }),
  CREDENTIALS_PRIVATE_KEYS: jwks({
    desc: "Opens clients' credentials: a private X25519 JWK, or a JSON array of two while rotating",
  }),
  CLIENT_BROKERS: brokerAddresses({
    default: undefined,
    desc: 'Brokers of clients that are connected to, comma-separated host:port, or amqps://host:port if they speak TLS; default: that of AMQP_URL',
  }),
  CLIENT_QUEUE_MAX_READY: count({
    default: 1_000,
    desc: "Messages waiting in a client's queue above which its stream pauses",
  }),
  CLIENT_QUEUE_MAX_PAUSE_MS: ms({
    default: 3_600_000,
    desc: 'How long a stream waits for its client to take messages, before it is given up',
  }),
  TCP_PORT: port({ default: 9000, desc: 'Port of the TCP stream' }),
  TCP_MAX_CONNECTIONS: count({ default: 1_000, desc: 'Most readers of the TCP stream' }),
  TCP_STALL_MS: ms({ default: 30_000, desc: 'How long a reader of the TCP stream may take for one batch' }),
};

/** Reads and checks the settings; throws one error that names every fault. */
export const loadDataDispatchConfig = (env?: NodeJS.ProcessEnv) => loadConfig(dataDispatchSettings, env);
