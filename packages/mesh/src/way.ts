/**
 * The way of a call from site to site: how many hops it has made, and who has been asked. Both travel in its execution context, which
 * peers other than Waybill pass over.
 */
import { isCollectorId } from './collector-id.ts';
import { DETAILS, type ServeRequest, type Status } from './messages.ts';

/** Hops of one call, its first included. */
export const MAX_HOPS = 8;

/** Sites that are named as visited, and what is read of such a list: peers and clients write it, and it is sent on. */
const MAX_VISITED = 1_000;
const MAX_VISITED_LENGTH = 64 * 1024;

/** Names in the execution context of calls between sites. */
const HOPS = 'waybill-hops';
const VISITED = 'waybill-visited';

/** On what way a call has come here. */
export type Way = { hops: number; visited: ReadonlySet<string> };

/** The way of a call that was sent on by a site; undefined for one that came from a client, to be served here or not at all. */
export function wayOf({ execution_context }: ServeRequest): Way | undefined {
  const hops = execution_context[HOPS];
  if (hops === undefined) return undefined;
  const visited = new Set(namesIn(execution_context[VISITED]));
  return { hops: /^\d{1,4}$/.test(hops) ? Number(hops) : MAX_HOPS, visited };
}

/** `context` without what only routing sets. */
export function withoutWay(context: ServeRequest['execution_context']): ServeRequest['execution_context'] {
  if (!(HOPS in context || VISITED in context)) return context;
  const { [HOPS]: _hops, [VISITED]: _visited, ...others } = context;
  return others;
}

/** `request` as it is sent on, when it has come the way that is given, the next hop included. */
export function onItsWay(request: ServeRequest, { hops, visited }: Way): ServeRequest {
  const way = { [HOPS]: String(hops), [VISITED]: [...visited].join(',') };
  return { ...request, execution_context: { ...request.execution_context, ...way } };
}

/** Adds to `visited` the peer that has answered with a status, and those that it has asked. Its id is empty until it has said who it is. */
export function addAsked(visited: Set<string>, peerId: string, { details }: Status): void {
  for (const name of [peerId, ...namesIn(details[DETAILS.visited])])
    if (name && visited.size < MAX_VISITED) visited.add(name);
}

function namesIn(list: string | undefined): string[] {
  if (!list) return [];
  const names = list.slice(0, MAX_VISITED_LENGTH).split(',');
  return names.slice(0, MAX_VISITED).filter(isCollectorId);
}
