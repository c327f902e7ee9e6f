/** Who waits at this instance for something to come into a store, and is told by a push. */
import { AppError } from '@waybill/common/errors.ts';
import { parseForwardedJson, toArray } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type { Push } from '@waybill/common/internal-call/store-calls.ts';

export type Watches = {
  /** Calls `onPush` with whatever is pushed of a mailbox, or an answer, until the function that it returns is called. */
  watch(mailbox: string, onPush: (push: Push) => void): () => void;
  /** Tells all that watch what was pushed. */
  tell(push: Push): void;
};

/** Creates the {@link Watches} of one instance. */
export function createWatches(): Watches {
  const watching = new Map<string, Set<(push: Push) => void>>();
  return {
    watch(mailbox, onPush) {
      const all = watching.get(mailbox) ?? new Set();
      watching.set(mailbox, all.add(onPush));
      return () => {
        all.delete(onPush);
        if (all.size === 0 && watching.get(mailbox) === all) watching.delete(mailbox);
      };
    },
    tell(push) {
      for (const onPush of [...(watching.get(push.mailbox) ?? [])]) onPush(push);
    },
  };
}

/**
 * What handles `POST /push`, a JSON array of {@link Push}: answers 200, whether or not anybody watches; 410 when they are for
 * another instance.
 */
export function createPostPushes({
  watches,
  instance,
}: {
  watches: Pick<Watches, 'tell'>;
  /** The name of this instance, as a store knows it. */
  instance: string;
}) {
  return async ({ body }: InternalCall): Promise<object> => {
    const pushes = toArray(parseForwardedJson(body)) as Push[];
    for (const push of pushes) {
      if (push.instance !== instance)
        throw new AppError('wrong-instance', `this is ${instance}, the push is for ${push.instance}`);
      watches.tell(push);
    }
    return {};
  };
}
