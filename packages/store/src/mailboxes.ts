/**
 * Mailboxes: for each client a log of what it is told, each entry at an offset of its own, without a gap and never given
 * twice. The port; `create-mailboxes.ts` keeps it on any {@link Database}, and `mailboxes-contract.fixture.ts` holds it.
 *
 * An event is taken for a mailbox under a slot, (fence, n), before anything of it is known here. Its reply is appended
 * under that slot, once: appended again, it is `repeated`. When it gets its offset is said in `release.ts`.
 *
 * A token is `<epoch>.<offset>`: all up to that offset has arrived. The epoch is another one when offsets begin anew, so a
 * token is never taken for one of another log.
 */
import type { AppError } from '@waybill/common/errors.ts';
import type {
  AppendResult,
  AttachingClient,
  Changes,
  ClientName,
  ClosedFence,
  Holder,
  LookedAt,
  MailboxName,
  Page,
  Reserved,
} from '@waybill/common/internal-call/store-calls.ts';
import type { FilledSlot } from './release.ts';

/** A reply on its way into a mailbox; `event` is its JSON text. */
export type NewEntry = FilledSlot & { mailbox: string; event: string; bytes: number };

/** As {@link Page}, with the JSON text of each event. */
export type TextPage = Omit<Page, 'entries'> & { entries: { offset: number; event: string }[] };

export type AttachedText = TextPage & {
  fence: number;
  previous?: Holder | undefined;
  depth: { entries: number; bytes: number };
};

export type Mailboxes = {
  /**
   * Makes `holder` the one whom appends are pushed to, and gives it a new fence; the fence of the one before is closed
   * `deadlineMs` from now, unless that one detaches first. A client without a mailbox gets one. Reads like {@link read}.
   * Asked once more under the same `id`, it gets the same fence, as long as that is not over.
   */
  attach(
    options: ClientName & {
      id?: string | undefined;
      holder: Holder;
      after?: string | undefined;
      deadlineMs: number;
    },
  ): Promise<AttachedText>;
  /**
   * As {@link attach}, of many clients in one transaction; what is wrong with one of them is told in its place. What is read of
   * all is one page: of some there may be less than there is, or nothing.
   */
  attachAll(options: {
    clients: readonly AttachingClient[];
    holder: Holder;
    deadlineMs: number;
  }): Promise<(AttachedText | AppError)[]>;
  /**
   * A fence of `count` slots, which is closed `deadlineMs` from now, and changes no holder; the same one for the same `id`. What
   * fills its only slot, where no reply does, names `eventId`.
   *
   * @throws AppError `mailbox-full`
   */
  reserve(
    options: ClientName & {
      id?: string | undefined;
      eventId?: string | undefined;
      count: number;
      deadlineMs: number;
    },
  ): Promise<Reserved>;
  /** Closes fences: at once when all slots up to the last are filled, or else `deadlineMs` from now. What there is not is passed over. */
  detach(options: { fences: readonly ClosedFence[]; deadlineMs: number }): Promise<void>;
  /** Appends all in one transaction: when it resolves they are on disk. The results are in the order of `entries`. */
  append(entries: readonly NewEntry[]): Promise<AppendResult[]>;
  /**
   * The entries after the token `after`, or all that are kept; as many as fit a page. A token acknowledges: what is up to
   * it is removed. One that is older than what is kept, or of another epoch, gets all that is kept and the `gap` before.
   * Given `beyond`, reading begins behind that offset, which acknowledges nothing.
   *
   * @throws AppError `not-found` when there is no such mailbox, `invalid-request` when it is no token.
   */
  read(options: MailboxName & { after?: string | undefined; beyond?: number | undefined }): Promise<TextPage>;
  /** Which mailboxes there may be something new to see in; to look at one does not change it. */
  changes(since?: string): Promise<Changes>;
  /**
   * Where mailboxes stand that `instance` believes to hold. Those that there are not any more are left out, and those that it
   * holds under another fence than it believes. What is to be released by now is, and they count as used.
   */
  look(options: {
    instance: string;
    mailboxes: readonly { mailbox: string; fence: number }[];
  }): Promise<LookedAt[]>;
  /** Removes entries up to each token; one that fits no mailbox is passed over. */
  acknowledge(tokens: readonly { mailbox: string; after: string }[]): Promise<void>;
  /**
   * Removes what is older than it is kept: entries, and mailboxes that nobody has used, in many transactions if need be,
   * until `isStopping`. Resolves with how many of each.
   */
  forgetOld(isStopping?: () => boolean): Promise<{ entries: number; mailboxes: number }>;
};
