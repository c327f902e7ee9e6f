// Original file: proto/collector.proto

import type { Status as _collector_Status, Status__Output as _collector_Status__Output } from '../collector/Status.ts';
import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../google/protobuf/Any.ts';

export interface DispatchResponse {
  'status'?: (_collector_Status | null);
  'output'?: (_google_protobuf_Any | null);
  /**
   * The site that ran it.
   */
  'handled_by_collector_id'?: (string);
}

export interface DispatchResponse__Output {
  'status': (_collector_Status__Output | null);
  'output': (_google_protobuf_Any__Output | null);
  /**
   * The site that ran it.
   */
  'handled_by_collector_id': (string);
}
