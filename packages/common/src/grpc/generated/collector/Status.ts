// Original file: proto/collector.proto

import type { StatusCode as _collector_StatusCode, StatusCode__Output as _collector_StatusCode__Output } from '../collector/StatusCode.ts';

export interface Status {
  'code'?: (_collector_StatusCode);
  'message'?: (string);
  /**
   * `code`: why, as in problems: `not-accepted` provably did not run, `outcome-unknown` may have run.
   */
  'details'?: ({[key: string]: string});
}

export interface Status__Output {
  'code': (_collector_StatusCode__Output);
  'message': (string);
  /**
   * `code`: why, as in problems: `not-accepted` provably did not run, `outcome-unknown` may have run.
   */
  'details': ({[key: string]: string});
}
