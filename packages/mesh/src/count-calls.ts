/** What is known of the calls to a neighbour: by its connection, for the record, and by its name, for metrics. */
import { type ErrorCode, toAppError } from '@waybill/common/errors.ts';
import { meshCallDuration, meshCalls } from '@waybill/common/telemetry/metrics.ts';
import type { Connection } from './connections.ts';
import { BAD_REQUEST, NOT_FOUND, OK, type ServeRequest, type ServeResponse } from './messages.ts';

/** Ends as `response` does, and counts how; `onCounted` is called when the connection's counts have changed. */
export async function counted(
  response: Promise<ServeResponse>,
  { input }: ServeRequest,
  {
    name,
    connection,
    onCounted,
  }: { name: string; connection: Connection | undefined; onCounted?(connection: Connection): void },
): Promise<ServeResponse> {
  const startedMs = performance.now();
  const measure = (outcome: string) => {
    const attributes = { peer: name, outcome };
    meshCalls.add(1, attributes);
    meshCallDuration.record((performance.now() - startedMs) / 1000, attributes);
  };
  try {
    const answer = await response;
    if (connection) {
      connection.calls += 1;
      connection.bytesSent += input?.value.length ?? 0;
      connection.bytesReceived += answer.output?.value.length ?? 0;
      onCounted?.(connection);
    }
    measure(OUTCOMES[answer.status.code] ?? 'failed');
    return answer;
  } catch (thrown) {
    const { code } = toAppError(thrown);
    // What was never sent is no call of the connection.
    if (connection && !NOT_RUN.has(code)) {
      connection.calls += 1;
      connection.failedCalls += 1;
      onCounted?.(connection);
    }
    measure(NOT_RUN.has(code) ? code : 'outcome-unknown');
    throw thrown;
  }
}

const NOT_RUN: ReadonlySet<ErrorCode> = new Set(['not-accepted', 'too-large']);

/** A peer may answer with any other code. */
const OUTCOMES: Readonly<Record<number, string>> = {
  [OK]: 'answered',
  [NOT_FOUND]: 'not-found',
  [BAD_REQUEST]: 'refused',
};
