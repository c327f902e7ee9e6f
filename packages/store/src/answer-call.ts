/** `POST /calls`: what public-web asks of a store besides appending. */
import { setImmediate } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import { parseForwardedJson } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type {
  AttachingClient,
  ClosedFence,
  Holder,
  KeyStep,
  StoreCall,
} from '@waybill/common/internal-call/store-calls.ts';
import type { Answers, FoundAnswer } from './answers.ts';
import { attachAll } from './attach-all.ts';
import type { TakeKeySteps } from './key-steps.ts';
import type { Mailboxes } from './mailboxes.ts';
import type { MeshConnections } from './mesh-connections.ts';
import { pageText } from './page-text.ts';

/** As public-webs asked before they did so for many at once: one may be replaced later than its store. */
type DetachOne = { call: 'detach'; fences?: undefined; deadlineMs: number } & ClosedFence;
type AttachOne = {
  call: 'attach';
  clients?: undefined;
  holder: Holder;
  deadlineMs: number;
} & AttachingClient;

/** Calls that take what nobody else may have then; of steps with keys, claims do. */
const TAKING: readonly StoreCall['call'][] = ['attach', 'reserve'];

/** What handles `POST /calls`, one {@link StoreCall}: answers 200 with what `store-calls.ts` has for it, as JSON text. */
export function createAnswerCall({
  mailboxes,
  answers,
  takeKeySteps,
  connections,
}: {
  mailboxes: Mailboxes;
  answers: Answers;
  takeKeySteps: TakeKeySteps;
  connections: MeshConnections;
}) {
  return async ({ body, isGone }: InternalCall): Promise<string> => {
    const call = parseForwardedJson(body) as StoreCall | AttachOne | DetachOne;
    const isTaking = call.call === 'keys' ? call.steps.some(isClaim) : TAKING.includes(call.call);
    if (!isTaking || !(await hasLeft(isGone))) return answer(call);
    // An answer that it has kept, or a key that it has released, stays so.
    if (call.call === 'keys') await takeKeySteps(call.steps.filter((step) => !isClaim(step)));
    throw new AppError('client-gone', 'whoever has called has given it up');
  };

  async function answer(call: StoreCall | AttachOne | DetachOne): Promise<string> {
    switch (call.call) {
      case 'attach':
        if (!call.clients) return pageText(await mailboxes.attach(call));
        return `{"results":[${(await attachAll(mailboxes, call)).join(',')}]}`;
      case 'reserve':
        return JSON.stringify(await mailboxes.reserve(call));
      case 'detach':
        await mailboxes.detach({ fences: call.fences ?? [call], deadlineMs: call.deadlineMs });
        return '{}';
      case 'read':
        return pageText(await mailboxes.read(call));
      case 'changes':
        return JSON.stringify(await mailboxes.changes(call.since));
      case 'look':
        return JSON.stringify(await mailboxes.look(call));
      case 'acknowledge':
        await mailboxes.acknowledge(call.tokens);
        return '{}';
      case 'read-answer':
        return answerText(await answers.read(call.id, call.holder));
      case 'cancel-answer':
        await answers.cancel(call.id);
        return '{}';
      case 'keys':
        return JSON.stringify({ results: await takeKeySteps(call.steps) });
      case 'save-connection':
        await connections.save(call);
        return '{}';
      case 'list-connections':
        return JSON.stringify({ records: await connections.list(call.site) });
      default:
        throw new AppError('invalid-request', 'a store knows no such call');
    }
  }
}

function isClaim({ step }: KeyStep): boolean {
  return step === 'claim';
}

/**
 * What a caller has given up while this process was held up must not take a mailbox from whoever has it by now, nor
 * a key that is then held for nobody. That the connection has ended is read behind the call itself, in the next turn of the event loop.
 */
async function hasLeft(isGone: () => boolean): Promise<boolean> {
  await setImmediate();
  await setImmediate();
  return isGone();
}

function answerText(found: FoundAnswer): string {
  return found.state === 'answered' ? `{"state":"answered","event":${found.event}}` : JSON.stringify(found);
}
