/** Receipts of the transport: that a caller has what was written to it, where it says nothing of that itself. */
import type { Http2Session, Http2Stream } from 'node:http2';

/** Of one connection, which is asked once for all its calls. */
type Asked = { isUnderWay: boolean; next: (() => void)[] };

const connections = new WeakMap<Http2Session, Asked>();

/**
 * Calls back once the caller of `call` has received all that had left for it before: an HTTP/2 PING goes behind it, and comes
 * back. Never when the connection ends before; at once where nobody can be asked.
 */
export function onReceived(call: object, callBack: () => void): void {
  const stream = streamOf(call);
  if (!stream) callBack();
  const session = stream?.session;
  if (!session || session.destroyed) return;
  const asked = connections.get(session) ?? { isUnderWay: false, next: [] };
  connections.set(session, asked);
  asked.next.push(callBack);
  if (!asked.isUnderWay) ask(session, asked);
}

/** Whoever comes while it is under way is not sure to be before it, and is asked for by the next. */
function ask(session: Http2Session, asked: Asked): void {
  const those = asked.next;
  asked.next = [];
  asked.isUnderWay = session.ping((error) => {
    asked.isUnderWay = false;
    if (error) return;
    for (const callBack of those) callBack();
    if (asked.next.length > 0 && !asked.isUnderWay) ask(session, asked);
  });
  if (!asked.isUnderWay) asked.next = those;
}

/** Private to grpc-js, which has no other way to a connection: the innermost of the interceptors within a handler's call has it. */
function streamOf(call: object): Http2Stream | undefined {
  let inner = Reflect.get(call, 'call') as { stream?: Http2Stream; nextCall?: object } | undefined;
  while (inner && !inner.stream) inner = inner.nextCall as typeof inner;
  return inner?.stream;
}
