import type { IdempotencyEntry } from './idempotency-store.ts';

/** An entry as the text that the store tier keeps. */
export function toText({ fingerprint, dueMs, reply, answer }: IdempotencyEntry): string {
  if (!answer) return JSON.stringify({ fingerprint, dueMs, reply });
  const { status, headers, body } = answer;
  const encoded = typeof body === 'string' ? { body } : { base64: body.toString('base64') };
  return JSON.stringify({ fingerprint, answer: { status, headers, ...encoded } });
}

/** The entry that {@link toText} has made a text of. */
export function toEntry(text: string): IdempotencyEntry {
  const { answer, ...entry } = JSON.parse(text);
  if (!answer) return entry;
  const { status, headers, body, base64 } = answer;
  return { ...entry, answer: { status, headers, body: body ?? Buffer.from(base64, 'base64') } };
}
