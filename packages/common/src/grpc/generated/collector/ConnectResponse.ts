// Original file: proto/collector.proto

import type { Status as _collector_Status, Status__Output as _collector_Status__Output } from '../collector/Status.ts';

export interface ConnectResponse {
  'status'?: (_collector_Status | null);
  'connection_id'?: (string);
  /**
   * Of the caller's namespaces those that this site has, in the caller's order.
   */
  'shared_namespaces'?: (string)[];
  'target_collector_id'?: (string);
}

export interface ConnectResponse__Output {
  'status': (_collector_Status__Output | null);
  'connection_id': (string);
  /**
   * Of the caller's namespaces those that this site has, in the caller's order.
   */
  'shared_namespaces': (string)[];
  'target_collector_id': (string);
}
