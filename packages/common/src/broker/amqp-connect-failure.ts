/** Where a connection was to go, and as whom. */
export type ConnectTarget = { hostname: string; port: number; username: string; vhost: string };

/** Why there is no connection, in words for whoever can mend it. */
export type ConnectFailure = {
  /** Names the broker and the user, never the password. */
  reason: string;
  /** Whether it is the settings that are wrong, as far as can be told; else the broker may yet come. */
  isMistake: boolean;
};

/**
 * What an error of amqplib's `connect` means. Its own messages are those of a codec: a virtual host that is not there is
 * `Expected ConnectionOpenOk`, a web server a frame that is too large.
 */
export function describeConnectFailure(
  error: NodeJS.ErrnoException,
  { hostname, port, username, vhost }: ConnectTarget,
): ConnectFailure {
  const { code, message } = error;
  const where = `${hostname}:${port}`;
  const mistake = (reason: string) => ({ reason, isMistake: true });
  const absent = (reason: string) => ({ reason, isMistake: false });
  if (/ACCESS.REFUSED/.test(message))
    return mistake(`the broker at ${where} refuses user ${username}: is the password right?`);
  // The broker's words are lost in amqplib: it says so too to one connection too many.
  if (/NOT.ALLOWED|ConnectionOpenOk/.test(message))
    return mistake(`the broker at ${where} has no virtual host ${vhost} for user ${username}`);
  if (/^Frame size|Invalid frame/.test(message))
    return mistake(`what answers at ${where} is no AMQP broker (a broker's AMQP port is usually 5672)`);
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER')
    return mistake(`what answers at ${where} speaks no TLS: amqp:// instead of amqps://?`);
  if (/closed abruptly/.test(message))
    return absent(`what answers at ${where} hung up at once: is it an AMQP broker, and without TLS?`);
  // amqplib's own timeout, which has no code: a host that drops what is sent looks as a server that waits for more.
  if (message === 'connect ETIMEDOUT' && code === undefined)
    return absent(
      `nothing at ${where} answers as a broker does: is it one (its AMQP port is usually 5672), and does no firewall drop what is sent?`,
    );
  if (code === 'ECONNREFUSED') return absent(`no broker listens at ${where}`);
  if (code === 'ENOTFOUND') return mistake(`there is no host ${hostname}`);
  return absent(`the broker at ${where} cannot be reached: ${message || code}`);
}
