import { isNotSent } from '@waybill/test-harness/not-sent.ts';

/** What a client asked for, and what it was told. */
export type Operation = {
  /** The event's id. */
  id: string;
  /** Which public-web it was sent to, from 0. */
  publicWeb: number;
  /** Since the epoch. */
  startMs: number;
  /** From sending it to having read the answer. */
  waitMs: number;
  deadlineMs: number;
  /**
   * `answered`: 200. `refused`: the event provably never ran. `unknown`: it may have run. `wrong`: an answer that is
   * nobody's or somebody else's, or a status that is not documented.
   */
  outcome: 'answered' | 'refused' | 'unknown' | 'wrong';
  /** 0 if there was no answer. */
  status: number;
  /** The code of the problem or of the error. */
  code: string;
  detail: string;
};

/** What the connection said when there was no answer: one that never stood carried no event. */
export function fromError(error: unknown): Pick<Operation, 'outcome' | 'status' | 'code' | 'detail'> {
  const { code = 'unknown', message } = error as { code?: string; message: string };
  return { outcome: isNotSent(error) ? 'refused' : 'unknown', status: 0, code, detail: message };
}

/** What the status and body of an answer to the ping `id`, `sentAt` say. */
export function fromAnswer(
  status: number,
  text: string,
  ping: { id: string; sentAt: number },
): Pick<Operation, 'outcome' | 'status' | 'code' | 'detail'> {
  const body = parse(text);
  const { code = '', detail = '' } = body;
  if (status === 200) {
    const isOurs = body.id === ping.id && body.type === 'PingResponse' && body.data?.sentAt === ping.sentAt;
    return { outcome: isOurs ? 'answered' : 'wrong', status, code, detail: isOurs ? '' : text.slice(0, 300) };
  }
  return { outcome: outcomeOf(status, code), status, code, detail };
}

/** What an answer other than success says of what was asked for. */
export function outcomeOf(status: number, code: string): 'refused' | 'unknown' | 'wrong' {
  return OUTCOMES[`${status} ${code}`] ?? 'wrong';
}

/** Those that are documented for something well-formed of a type that a listener takes. */
const OUTCOMES: Record<string, 'refused' | 'unknown'> = {
  '503 not-accepted': 'refused',
  '504 outcome-unknown': 'unknown',
  '502 handler-failed': 'unknown',
};

type Body = { id?: string; type?: string; data?: { sentAt?: number }; code?: string; detail?: string };

function parse(text: string): Body {
  try {
    return (JSON.parse(text) as Body | null) ?? {};
  } catch {
    return { code: 'not-json', detail: text.slice(0, 300) };
  }
}
