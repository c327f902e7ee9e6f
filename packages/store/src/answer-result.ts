/** `POST /results`: what listeners ask of a store. */
import { AppError } from '@waybill/common/errors.ts';
import { parseForwardedJson } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type { ResultCall } from '@waybill/common/internal-call/store-calls.ts';
import type { KeptValues } from './kept-values.ts';

/** What handles `POST /results`, one {@link ResultCall}: answers 200 with what `store-calls.ts` has for it. */
export function createAnswerResult({ values }: { values: Pick<KeptValues, 'read' | 'keep'> }) {
  return async ({ body }: InternalCall): Promise<object> => {
    const call = parseForwardedJson(body) as ResultCall;
    switch (call.call) {
      case 'read-result':
        return { value: (await values.read(idOf(call))) ?? undefined };
      case 'keep-result':
        await values.keep({ ...call, key: idOf(call) });
        return {};
      default:
        throw new AppError('invalid-request', 'a store knows no such call of a listener');
    }
  };
}

/** Under what a result is kept: another one than any of public-web. */
function idOf({ key }: ResultCall): string {
  return `result ${key}`;
}
