import type { EncodedEvent } from '@waybill/common/event/event-json.ts';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';

/**
 * What became of a reply:
 * - `delivered`: it is where its address says.
 * - `gone`: nobody waits for it, drop it.
 * - `late`: the client that waited was told where to look for it; without a store that is `gone`.
 * - `refused`: the receiver cannot read this very reply, and never will.
 * - `failing`: the address does not answer now.
 * - `busy`: it answers, but takes no replies for the moment.
 * - `unknown-reply-address`: it is of this kind and we signed it, but it does not say what an address of its kind does.
 */
export type DeliveryOutcome =
  | 'delivered'
  | 'gone'
  | 'late'
  | 'refused'
  | 'failing'
  | 'busy'
  | 'unknown-reply-address';

/** Delivers replies to addresses of one kind. */
export type Deliverer = {
  /** Never rejects. What is `failing` or `busy` is set aside in the broker, and comes again. */
  deliver(address: ReplyAddress, reply: EncodedEvent): Promise<DeliveryOutcome>;
  close(): Promise<void>;
};

/** By kind of address: whatever is not here cannot be delivered to. */
export type Deliverers = Readonly<Record<string, Deliverer>>;
