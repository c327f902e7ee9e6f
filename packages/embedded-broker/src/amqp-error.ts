/**
 * What a broker may complain of: AMQP 0-9-1, section 1.2 "constants". The soft ones close the channel, the hard ones
 * the connection.
 */

const replies = {
  CONTENT_TOO_LARGE: { code: 311, isHard: false },
  NO_ROUTE: { code: 312, isHard: false },
  CONNECTION_FORCED: { code: 320, isHard: true },
  ACCESS_REFUSED: { code: 403, isHard: false },
  NOT_FOUND: { code: 404, isHard: false },
  RESOURCE_LOCKED: { code: 405, isHard: false },
  PRECONDITION_FAILED: { code: 406, isHard: false },
  FRAME_ERROR: { code: 501, isHard: true },
  SYNTAX_ERROR: { code: 502, isHard: true },
  COMMAND_INVALID: { code: 503, isHard: true },
  CHANNEL_ERROR: { code: 504, isHard: true },
  UNEXPECTED_FRAME: { code: 505, isHard: true },
  NOT_ALLOWED: { code: 530, isHard: true },
  NOT_IMPLEMENTED: { code: 540, isHard: true },
  INTERNAL_ERROR: { code: 541, isHard: true },
} as const;

export type ReplyName = keyof typeof replies;

/** A fault of a client, as it is told of it: `NOT_FOUND - no queue 'q' in vhost '/'`. */
export class AmqpError extends Error {
  readonly code: number;
  /** Whether it ends the connection and not only the channel. */
  readonly isHard: boolean;

  constructor(name: ReplyName, text: string, options?: { isHard?: boolean }) {
    super(`${name} - ${text}`);
    this.name = 'AmqpError';
    this.code = replies[name].code;
    this.isHard = options?.isHard ?? replies[name].isHard;
  }

  /** The message as a close carries it: a short string, of 255 bytes at most. */
  get replyText(): string {
    let end = Math.min(this.message.length, 255);
    while (Buffer.byteLength(this.message.slice(0, end)) > 255) end -= 1;
    return this.message.slice(0, end);
  }
}
