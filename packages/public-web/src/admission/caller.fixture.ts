import type { Caller } from './admission.ts';

/** One who needs no key, and may do everything, however often. */
export const anyCaller: Caller = {
  apiKeyId: undefined,
  assertMaySend() {},
  assertMayAddClients() {},
  assertMayManageMesh() {},
  countEvents() {},
  countEvent() {},
};
