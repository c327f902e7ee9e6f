// Original file: proto/collector.proto

import type { ServiceTypeRef as _collector_ServiceTypeRef, ServiceTypeRef__Output as _collector_ServiceTypeRef__Output } from '../collector/ServiceTypeRef.ts';
import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../google/protobuf/Any.ts';

export interface DispatchRequest {
  'namespace'?: (string);
  'service'?: (_collector_ServiceTypeRef | null);
  'method_name'?: (string);
  'input'?: (_google_protobuf_Any | null);
  /**
   * Empty: whichever site serves it.
   */
  'target_collector_id'?: (string);
  /**
   * The execution context of the Serve that it leads to.
   */
  'routing_hints'?: ({[key: string]: string});
}

export interface DispatchRequest__Output {
  'namespace': (string);
  'service': (_collector_ServiceTypeRef__Output | null);
  'method_name': (string);
  'input': (_google_protobuf_Any__Output | null);
  /**
   * Empty: whichever site serves it.
   */
  'target_collector_id': (string);
  /**
   * The execution context of the Serve that it leads to.
   */
  'routing_hints': ({[key: string]: string});
}
