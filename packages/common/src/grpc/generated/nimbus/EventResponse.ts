// Original file: proto/nimbus.proto

import type { Problem as _nimbus_Problem, Problem__Output as _nimbus_Problem__Output } from '../nimbus/Problem.ts';

export interface EventResponse {
  /**
   * As in the request.
   */
  'event_name'?: (string);
  'number'?: (number);
  'result'?: (number);
  /**
   * Set when there is no result, which is 0 then.
   */
  'problem'?: (_nimbus_Problem | null);
  /**
   * Where there is a store: shown in the metadata `token` of the next stream, it begins with what came after this.
   */
  'token'?: (string);
}

export interface EventResponse__Output {
  /**
   * As in the request.
   */
  'event_name': (string);
  'number': (number);
  'result': (number);
  /**
   * Set when there is no result, which is 0 then.
   */
  'problem': (_nimbus_Problem__Output | null);
  /**
   * Where there is a store: shown in the metadata `token` of the next stream, it begins with what came after this.
   */
  'token': (string);
}
