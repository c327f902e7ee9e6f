/** `POST /results`: what listeners ask of a store. */
import { AppError } from '@waybill/common/errors.ts';
import { parseForwardedJson } from '@waybill/common/event/event-json.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import type { ResultCall } from '@waybill/common/internal-call/store-calls.ts';
import type { KeptValues } from './kept-values.ts';

/** What handles `POST /results`, one {@link ResultCall}: answers 200 with what `store-calls.ts` has for it. */
export function createAnswerResult({ values }: { values: Pick<KeptValues, 'read' | 'keep' | 'assertRoom'> }) {
  /** Where there is no result yet the handler runs next: what it makes could not be kept. */
  async function read(call: ResultCall): Promise<string | undefined> {
    const value = (await values.read(idOf(call))) ?? undefined;
    if (value === undefined) values.assertRoom(ownerOf(call));
    return value;
  }

  return async ({ body }: InternalCall): Promise<object> => {
    const call = parseForwardedJson(body) as ResultCall;
    switch (call.call) {
      case 'read-result':
        return { value: await read(call) };
      case 'keep-result':
        await values.keep({ ...call, key: idOf(call), owner: ownerOf(call) });
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

/** A listener of before does not say whose its results are. */
function ownerOf({ owner = '' }: ResultCall): string {
  return `result ${owner}`;
}
