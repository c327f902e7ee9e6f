import type { Handler } from '@waybill/listener';

/** Answers a PingRequest: `sentAt` as it was sent, and when it was taken here, in milliseconds since the epoch. */
export const ping: Handler = ({ data }) => {
  const { sentAt } = (data ?? {}) as { sentAt?: unknown };
  return { reply: { type: 'PingResponse', data: { sentAt, receivedAt: Date.now() } } };
};
