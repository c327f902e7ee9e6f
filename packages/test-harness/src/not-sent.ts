/**
 * Whether a request ended before its connection stood, so that no byte of it was sent: refused, or reset while it was
 * made, which is what is left of a connection that the system took for a port in the moment in which it was closed.
 */
export function isNotSent(error: unknown): boolean {
  const { code, syscall } = error as { code?: string; syscall?: string };
  return syscall === 'connect' || code === 'UND_ERR_CONNECT_TIMEOUT';
}
