/** `POST /troubles`: what a public-web asks, because only a dispatcher can see it. */
import type { FindAnswerers } from '@waybill/common/broker/amqp-answerers.ts';
import type { Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type {
  createReplyAddressVerifier,
  ReplyAddress,
} from '@waybill/common/internal-call/reply-address.ts';
import {
  MAX_ASKED,
  type TroublesAnswer,
  type TroublesQuestion,
} from '@waybill/common/internal-call/troubles.ts';
import { within } from '@waybill/common/within.ts';

/** A broker, or its management API, that is slower than this has not answered: the caller asks again. */
const LOOK_MS = 2_000;

/** What handles `POST /troubles`. Without a broker nothing is known of it, which is no trouble of anybody's. */
export function createTroubles({
  replyAddresses,
  checkCallback,
  publisher,
  subscriber,
  findAnswerers,
}: {
  replyAddresses: ReturnType<typeof createReplyAddressVerifier>;
  /** Resolves with why the address, whose token is `replyto`, cannot be called. */
  checkCallback(address: ReplyAddress, replyto: string): Promise<string | undefined>;
  publisher: Pick<Publisher, 'isDeclared'>;
  subscriber: Pick<Subscriber, 'consumersOf'>;
  /** Undefined where only AMQP is spoken, which does not tell. */
  findAnswerers?: FindAnswerers | undefined;
}) {
  return async ({ body }: InternalCall): Promise<TroublesAnswer> => {
    const { replyto, types, services, wantsAnswerers } = toQuestion(body);
    const address = await replyAddresses.verify(replyto);
    const [callback, undeclared, idle, answerers] = await Promise.all([
      checkCallback(address, replyto),
      filter(types, async (type) => (await publisher.isDeclared(type)) === false),
      filter(services, async (service) => (await subscriber.consumersOf(service)) === 0),
      wantsAnswerers ? inTime(findAnswerers?.()) : undefined,
    ]);
    return { callback, undeclared, idle, answerers };
  };
}

function toQuestion(body: Buffer): TroublesQuestion {
  const { replyto, types, services, wantsAnswerers } = JSON.parse(body.toString('utf8')) as TroublesQuestion;
  const isList = (list: unknown) => Array.isArray(list) && list.length <= MAX_ASKED;
  if (typeof replyto === 'string' && isList(types) && isList(services))
    return {
      replyto,
      types: types.map(String),
      services: services.map(String),
      // An older public-web does not say.
      wantsAnswerers: wantsAnswerers === true,
    };
  throw new AppError('invalid-request', 'the question is not understood');
}

/** Those that hold; none that nobody could tell of in time. */
async function filter(names: string[], holds: (name: string) => Promise<boolean>): Promise<string[]> {
  const found = new Set<string>();
  const looks = names.map(async (name) => {
    if (await holds(name).catch(() => false)) found.add(name);
  });
  await within(LOOK_MS, Promise.all(looks));
  return names.filter((name) => found.has(name));
}

/** What `promise` resolves with; undefined where that takes too long. */
async function inTime<T>(promise: Promise<T> | undefined): Promise<T | undefined> {
  let found: T | undefined;
  const finding = promise?.then((value) => {
    found = value;
  });
  await within(LOOK_MS, Promise.resolve(finding));
  return found;
}
