/**
 * Values that are kept under a key for a while, which nobody here reads: what idempotency keys have led to, and what handlers
 * made of events. The port; `create-kept-values.ts` keeps it on any database, and `kept-values-contract.fixture.ts` holds it.
 */

/** A value on its way in. */
export type NewValue = {
  /** What it is of, `key` or `result`, a space, and what tells it from others. */
  key: string;
  /** Whose it is, behind the same kind and a space: what is kept of one owner is bounded. */
  owner: string;
  value: string;
  /** How long it is kept, from now on. */
  keepMs: number;
};

/** The id by which whoever has claimed a key knows its claim. */
export type Claim = { key: string; claim: string };

/** What is kept under a key: nothing, where nothing is; null, where it is larger than was asked for. */
export type FoundValue = string | null | undefined;

export type KeptValues = {
  /**
   * In one step: resolves with what is kept under the key; or, if nothing is, keeps `value` there as a claim, and resolves with
   * undefined, also when it is asked for once more. On disk when it resolves. A claim takes the room of a value of `CLAIM_ROOM_BYTES`.
   *
   * @param maxBytes as of {@link read}
   * @throws AppError `not-accepted` in the moment in which what was there is given up; as {@link keep}.
   */
  claim(value: NewValue & Claim, maxBytes?: number): Promise<FoundValue>;
  /**
   * What is kept under the key.
   *
   * @param maxBytes what is larger stays in the database (default: nothing is)
   */
  read(key: string, maxBytes?: number): Promise<FoundValue>;
  /**
   * Keeps a value in place of whatever is there; or `otherwise`, where it is given and the value is refused. On disk when it resolves. In place of a
   * claim there is always room for one of up to `CLAIM_ROOM_BYTES`.
   *
   * @throws AppError `too-large` for one of more than `KEPT_VALUE_MAX_BYTES`; `keys-full` where there is no room for it.
   */
  keep(value: NewValue & { otherwise?: string | undefined }): Promise<void>;
  /** @throws AppError `keys-full` where nothing more of an owner would be kept. */
  assertRoom(owner: string): void;
  /** Puts `value` in place of that of a claim, if it is still one. */
  amend(claim: Claim & Pick<NewValue, 'value'>): Promise<void>;
  /** Removes a claim, if it is still one; one that is being made at the moment, or comes later, is not made. */
  release(claim: Claim): Promise<void>;
  /** Removes what is older than it is kept, in many transactions if need be, until `isStopping`; resolves with how many. */
  forgetOld(isStopping?: () => boolean): Promise<number>;
  /** Counts how much there is: at the start, and now and then where other processes keep values too. */
  count(): Promise<void>;
};
