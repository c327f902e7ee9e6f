/** Lets in whoever shows an API key, or a JSON Web Token in its place, whatever way they come in. */
import { AppError } from '@waybill/common/errors.ts';
import type { Admit, Caller } from './admission.ts';
import { isToken, type VerifyToken } from './json-web-tokens.ts';

/**
 * Lets in who shows `key`: at once, or by a promise where it is a token, which has to be verified. Throws, or rejects, as
 * {@link Admit} and {@link VerifyToken} do.
 */
export type AdmitShown = (shown: { key: string | undefined; address: string }) => Caller | Promise<Caller>;

/** Creates {@link AdmitShown}; without `verifyToken` a token is a key that nobody knows. */
export function createAdmitShown({
  admit,
  verifyToken,
}: {
  admit: Admit;
  verifyToken?: VerifyToken | undefined;
}): AdmitShown {
  return ({ key, address }) => {
    if (!verifyToken || !isToken(key)) return admit({ key, address });
    return verifyToken(key).then(
      (subject) => admit({ key: undefined, subject, address }),
      (error) => {
        // Also while nobody can say whether it is wrong.
        countWrong(admit, address);
        throw error;
      },
    );
  };
}

/**
 * Counts a token or ticket that is wrong as a request without a key, so that trying them is limited too.
 *
 * @throws AppError `rate-limited`.
 */
export function countWrong(admit: Admit, address: string): void {
  try {
    admit({ key: undefined, address });
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'unauthorized')) throw error;
  }
}
