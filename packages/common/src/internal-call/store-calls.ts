/** What public-web and dispatchers ask of a store, and what it answers. */
import type { CloudEvent } from '../event/event.ts';
import type { Problem } from '../problem.ts';

/** The `source` of the problems that a store makes. */
export const STORE_SOURCE = '/waybill/store';

/** What one mailbox may hold (design: bounds). */
export const MAILBOX_MAX_ENTRIES = 10_000;
export const MAILBOX_MAX_BYTES = 16 * 1024 * 1024;

/** Bytes of one value that is kept under a key: an answer of a MiB, each character of it escaped, and its headers. */
export const KEPT_VALUE_MAX_BYTES = 2_500_000;

/**
 * Bytes of a value that is told beside others: of the most steps of one call (128) all values, each character escaped, are half of
 * what its caller reads.
 */
export const TOLD_TOGETHER_MAX_BYTES = 32 * 1024;

/** Bytes of the value for which a claim takes room beforehand: in its place one of so many is always kept. */
export const CLAIM_ROOM_BYTES = TOLD_TOGETHER_MAX_BYTES;

/** The public-web instance that a client is connected to: what is appended to its mailbox is pushed to `url`. */
export type Holder = { instance: string; url: string };

/**
 * What became of one reply of `POST /append`; the answer has them in the order of the replies.
 * - `appended`: it is in the store, on disk.
 * - `repeated`: it was there already, or its place has been taken, because its deadline had passed.
 * - `gone`: there is no such mailbox (any more), or the answer was cancelled.
 */
export type AppendResult = {
  outcome: 'appended' | 'repeated' | 'gone';
  /** Who is to be told of it, if anybody. */
  push?: { holder: Holder } & PushedPosition;
};

/** Where a mailbox stands: up to `head` all can be read. */
export type PushedPosition = {
  mailbox: string;
  epoch: string;
  head: number;
  /** The offset of the reply itself; absent while it waits for others before it, and for one that is repeated. */
  offset?: number | undefined;
  /** What it holds, in all; absent for an answer. */
  bytes?: number;
};

/** What a dispatcher tells the holder of a mailbox, by `POST /push` in batches: `event` is what has the `offset`. */
export type Push = PushedPosition & { instance: string; event?: CloudEvent };

/** Names a mailbox: by its id, or by its client, and the API key that the client id belongs to ('' where none is needed). */
export type MailboxName = { mailbox: string } | { owner: string; client: string };

/**
 * What `POST /calls` is asked, one at a time.
 * - `attach`: each of `clients` is connected to `holder` now, which counts the events that it takes for it under the fence it gets;
 *   the answer has an {@link AttachResult} for each, in their order. Asked once more under its `id`, one gets the same fence; likewise `reserve`.
 * - `reserve`: `count` events are taken for the mailbox at once, by nobody who stays: theirs are the slots 0 to `count` - 1 of
 *   the fence it gets. `eventId` is the event of the only one, for whoever is told that it has no reply. Refused with `mailbox-full`, and with `not-found` where the
 *   mailbox is named by an id that none has.
 * - `detach`: no more slots are taken under these fences.
 * - `read`: what comes after a token, which acknowledges all up to it; or `beyond` an offset, which acknowledges nothing.
 * - `changes`: which mailboxes have changed lately, as a {@link Changes}; once a second, should a push have been lost.
 * - `look`: where mailboxes stand that `instance` holds under a fence.
 * - `acknowledge`: the same without reading.
 * - `read-answer`: the answer to a request, of which `holder` wants to be told if it is not there yet.
 * - `cancel-answer`: it is never kept, and removed if it is.
 * - `keys`: steps with idempotency keys, each by itself; the answer has a {@link KeyResult} for each, in their order.
 * - `save-connection`: what a site of a mesh has on record of a connection, as text.
 * - `list-connections`: its `records`, the oldest first.
 */
export type StoreCall =
  | { call: 'attach'; holder: Holder; deadlineMs: number; clients: AttachingClient[] }
  | ({
      call: 'reserve';
      id?: string;
      eventId?: string;
      count: number;
      deadlineMs: number;
    } & ClientName)
  | { call: 'detach'; fences: ClosedFence[]; deadlineMs: number }
  | ({ call: 'read'; after?: string | undefined; beyond?: number } & MailboxName)
  | { call: 'changes'; since?: string | undefined }
  | { call: 'look'; instance: string; mailboxes: { mailbox: string; fence: number }[] }
  | { call: 'acknowledge'; tokens: { mailbox: string; after: string }[] }
  | { call: 'read-answer'; id: string; holder?: Holder }
  | { call: 'cancel-answer'; id: string }
  | { call: 'keys'; steps: KeyStep[] }
  | { call: 'save-connection'; site: string; id: string; isEnded: boolean; record: string }
  | { call: 'list-connections'; site: string };

/**
 * A fence, and the last slot that was taken under it (-1: none); or the `id` of the call that may have made one, of which its
 * caller does not know, and under which it has taken none.
 */
export type ClosedFence = { mailbox: string; fence: number; lastN: number } | ({ id: string } & ClientName);

/** A client that attaches, with the last token that it has. */
export type AttachingClient = ClientName & { id?: string; after?: string | undefined };

/** What becomes of one that attaches: the `problem` says what is wrong with it alone. */
export type AttachResult = Attached | { problem: Problem };

export type ClientName = { owner: string; client: string };

/** Connections of a site that have ended, of which a store keeps the record: one answer has them all. */
export const MAX_ENDED_CONNECTIONS = 100;

/** One entry; its token is `<epoch>.<offset>`. */
export type MailboxEntry = { offset: number; event: CloudEvent };

/** Entries of a mailbox in order, as many as fit. */
export type Page = {
  mailbox: string;
  epoch: string;
  /** The last offset that there is; what is beyond the entries of this page is to be read after them. */
  head: number;
  /** Up to this one they are gone: acknowledged, or too old. */
  trimmed: number;
  /** What came after the token `from`, and up to `to`, is not kept any more, or was lost. */
  gap?: { from: string; to: string };
  entries: MailboxEntry[];
};

/** As a page; of many that attach at once, some may have none of what there is, and read it. */
export type Attached = Page & {
  fence: number;
  /** Who held it before, and is to let go of it. */
  previous?: Holder;
  /** What the mailbox holds, in all. */
  depth: { entries: number; bytes: number };
};

/** Where a mailbox stands, as its holder needs to know. */
export type LookedAt = {
  mailbox: string;
  epoch: string;
  head: number;
  trimmed: number;
  /** What it holds, in all. */
  bytes: number;
  /** Under the fence that was asked for, all slots before it have been released. */
  nextN: number;
  /** False when another instance holds it by now. */
  isHeld: boolean;
  /** Whether it stays as it is until something is done with it: no reply waits in it, and no fence is closing. */
  isAtRest: boolean;
};

/**
 * The mailboxes, whoever holds them, in which anything that a look shows has changed since `since`, and some in which nothing has.
 * Without `mailboxes`, any may have: `since` is missing or of another process, or too many have.
 */
export type Changes = {
  /** For the next question. */
  asOf: string;
  mailboxes?: string[];
};

export type Reserved = { mailbox: string; fence: number };

/** `pending` is also one of which the store has never heard. */
export type ReadAnswer = { state: 'pending' | 'cancelled' } | { state: 'answered'; event: CloudEvent };

/**
 * One step with one idempotency key.
 * - `claim`: tells what is kept under it; or, if nothing is, keeps `value` as a claim, and tells no value. Taken once more under its
 *   `claim`, it tells the same. Refused with `keys-full` where there is no room for another key of `owner`, an API key's id ('' where none is
 *   needed), or of all.
 * - `read`: tells what is kept under it.
 * - `amend`: puts `value` in place of that of this claim, if it still is one.
 * - `keep`: keeps `value` in place of whatever was; or `otherwise`, where it is given, and `value` is too large or more than there is room for,
 *   which no value of {@link CLAIM_ROOM_BYTES} in place of a claim is.
 * - `release`: removes this claim, if it still is one.
 */
export type KeyStep =
  | { step: 'claim'; key: string; owner?: string; claim: string; value: string; keepMs: number }
  | { step: 'read'; key: string }
  | { step: 'amend'; key: string; claim: string; value: string }
  | {
      step: 'keep';
      key: string;
      owner?: string;
      value: string;
      otherwise?: string | undefined;
      keepMs: number;
    }
  | { step: 'release'; key: string; claim: string };

/**
 * What `claim` and `read` tell; of any step that it may not have been done, with a `code` when it is refused for good. `isLarge`, and
 * no value: what is kept is more than {@link TOLD_TOGETHER_MAX_BYTES}, and told to a `read` that is alone in its call.
 */
export type KeyResult = ReadValue & {
  isLarge?: boolean;
  isFailed?: boolean;
  code?: 'too-large' | 'keys-full';
};

/** What is kept under a key; nothing where nothing is. */
export type ReadValue = { value?: string };

/** Where a store keeps results of listeners: they sign with keys of their own, which open nothing else. */
export const RESULTS_PATH = '/results';

/**
 * What `POST /results` is asked by a listener, one at a time.
 * - `read-result`: what is kept under a key. Refused with `keys-full` where nothing is, and there is no room for anything of `owner`, the name of
 *   the handler.
 * - `keep-result`: `value` is, in place of whatever was. Refused likewise.
 */
export type ResultCall = { key: string; owner?: string } & (
  | { call: 'read-result' }
  | { call: 'keep-result'; value: string; keepMs: number }
);
