/** The registry of services: whoever says, before anything runs, whether there is what a call names. */
import { toAppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { DETAILS, FAILED, failure, NOT_FOUND, type ServeRequest, type Status } from './messages.ts';

/**
 * Says what of a call is not in the registry: undefined when all is. The answer ends the 404
 * `service not registered in registry: …`.
 */
export type RegistryValidator = (request: ServeRequest) => string | undefined | Promise<string | undefined>;

const SILENT = failure(FAILED, 'the registry of services did not answer', {
  [DETAILS.code]: 'not-accepted',
});

/**
 * Asks the registry about a call. Resolves with the status of one that is not to run; undefined for one that may. A validator that fails
 * has registered nothing; where it does not answer in time, nobody knows.
 */
export async function askRegistry(
  validate: RegistryValidator | undefined,
  request: ServeRequest,
  deadlineMs: number,
): Promise<Status | undefined> {
  let unregistered: string | undefined;
  try {
    const said = validate?.(request);
    if (typeof said !== 'object') unregistered = said;
    else {
      const asked = said.then((later) => {
        unregistered = later;
      });
      if (!(await within(deadlineMs, asked))) return SILENT;
    }
  } catch (thrown) {
    unregistered = toAppError(thrown).message;
  }
  if (unregistered === undefined) return undefined;
  return failure(NOT_FOUND, `service not registered in registry: ${unregistered}`);
}
