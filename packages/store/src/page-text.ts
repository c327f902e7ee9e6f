import type { TextPage } from './mailboxes.ts';

/** A page as JSON. Events are stored as the text that is sent, so that no number in them is read and rounded. */
export function pageText({ entries, ...rest }: TextPage): string {
  const list = entries.map(({ offset, event }) => `{"offset":${offset},"event":${event}}`);
  return `${JSON.stringify(rest).slice(0, -1)},"entries":[${list.join(',')}]}`;
}
