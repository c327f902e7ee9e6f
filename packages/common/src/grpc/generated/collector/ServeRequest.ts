// Original file: proto/collector.proto

import type { ServiceTypeRef as _collector_ServiceTypeRef, ServiceTypeRef__Output as _collector_ServiceTypeRef__Output } from '../collector/ServiceTypeRef.ts';
import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from '../google/protobuf/Any.ts';

export interface ServeRequest {
  'namespace'?: (string);
  'service'?: (_collector_ServiceTypeRef | null);
  'method_name'?: (string);
  'input'?: (_google_protobuf_Any | null);
  /**
   * What the handler is told beside the input.
   */
  'execution_context'?: ({[key: string]: string});
}

export interface ServeRequest__Output {
  'namespace': (string);
  'service': (_collector_ServiceTypeRef__Output | null);
  'method_name': (string);
  'input': (_google_protobuf_Any__Output | null);
  /**
   * What the handler is told beside the input.
   */
  'execution_context': ({[key: string]: string});
}
