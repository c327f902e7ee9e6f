/** Sends a Connect to a neighbour, and has the neighbour be what its answer says. */
import { AppError } from '@waybill/common/errors.ts';
import { isCollectorId } from './collector-id.ts';
import type { Connection } from './connections.ts';
import { type ConnectResponse, OK } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { Neighbour } from './neighbour.ts';
import { sharedOf, type ThisSite } from './this-site.ts';

const CONNECT_MS = 5_000;
/** Characters of what a peer says that are logged, and kept. */
const MAX_REASON_LENGTH = 200;

/**
 * Resolves with the connection that it made, or renewed. `isAsked`: whether somebody has asked for it, who then wants it kept.
 *
 * @throws AppError `invalid-request` when this site is at that address, `not-accepted` when nobody answers there as a collector should.
 */
export type Dial = (
  neighbour: Neighbour,
  options?: Partial<CallOptions>,
  isAsked?: boolean,
) => Promise<Readonly<Connection>>;

/** Creates {@link Dial} of a site. */
export function createDial(site: ThisSite): Dial {
  return async (neighbour, options = {}, isAsked = false) => {
    const { address } = neighbour;
    const request = site.greetingTo(address);
    const answer = await neighbour.connect(request, { deadlineMs: CONNECT_MS, ...options });
    checkAnswer(answer, address, site);
    if (neighbour.signal.aborted) throw new AppError('not-accepted', 'this site disconnects');
    if (isAsked) neighbour.want();
    const sharedNamespaces = sharedOf(answer.shared_namespaces, request.namespaces);
    const settling = neighbour.settle({ peerId: answer.target_collector_id, sharedNamespaces });
    // They may have changed since they were told.
    if (`${site.sharedWith(address)}` !== `${request.namespaces}`) neighbour.noteForgotten();
    return settling;
  };
}

/** @throws AppError when the answer is none of a peer that may be at `address`. */
function checkAnswer(
  { status, target_collector_id: peerId }: ConnectResponse,
  address: string,
  { id, peerAt }: ThisSite,
): void {
  if (status.code !== OK)
    throw new AppError(
      'not-accepted',
      `the peer refuses to connect: ${status.message.slice(0, MAX_REASON_LENGTH)}`,
    );
  if (peerId === id) throw new AppError('invalid-request', 'this collector is at that address');
  if (!isCollectorId(peerId)) throw new AppError('not-accepted', 'the peer does not say who it is');
  const expected = peerAt(address)?.id ?? peerId;
  if (peerId !== expected) throw new AppError('not-accepted', `the collector there is not '${expected}'`);
}
