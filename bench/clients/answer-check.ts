/** A message of public-web, as a client reads it. */
export type Message = { type: string; requestid?: string; token?: string; data?: unknown };

/**
 * What one client is told, looked at as it comes: the results of its events in order, each once, and from a mailbox each at the
 * next offset.
 */
export type AnswerCheck = {
  /** The numbers of the events whose results have come, in that order. */
  readonly told: readonly number[];
  /** What should not have come, in words. */
  readonly wrong: readonly string[];
  /** The last token, by which its client goes on; '' before there was one. */
  token(): string;
  take(message: Message): void;
};

/** Creates an {@link AnswerCheck}; the `requestid` of a result is the number of its event, from 0. */
export function createAnswerCheck(client: string): AnswerCheck {
  const told: number[] = [];
  const wrong: string[] = [];
  let token = '';
  return {
    told,
    wrong,
    token: () => token,
    take({ token: next = '', requestid, type, data }) {
      const number = Number(requestid);
      const isNext = token === '' || offsetOf(next) === offsetOf(token) + 1;
      const isInOrder = number > (told.at(-1) ?? -1);
      if (!isNext || !isInOrder || type === 'waybill.Problem' || type === 'waybill.Gap')
        wrong.push(`${client} after ${token}: ${JSON.stringify({ token: next, requestid, type, data })}`);
      token = next;
      told.push(number);
    },
  };
}

function offsetOf(token: string): number {
  return Number(token.split('.')[1]);
}
