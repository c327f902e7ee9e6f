// Original file: proto/nimbus.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EventRequest as _nimbus_EventRequest, EventRequest__Output as _nimbus_EventRequest__Output } from '../nimbus/EventRequest.ts';
import type { EventResponse as _nimbus_EventResponse, EventResponse__Output as _nimbus_EventResponse__Output } from '../nimbus/EventResponse.ts';

/**
 * Events of one client in, what became of them out, over one stream. The metadata `client_id` names the client.
 */
export interface NimbusServiceClient extends grpc.Client {
  /**
   * Answers each event, in the order in which they came. A half-close loses no answer.
   */
  ProcessEvent(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_nimbus_EventRequest, _nimbus_EventResponse__Output>;
  ProcessEvent(options?: grpc.CallOptions): grpc.ClientDuplexStream<_nimbus_EventRequest, _nimbus_EventResponse__Output>;
  /**
   * Answers each event, in the order in which they came. A half-close loses no answer.
   */
  processEvent(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_nimbus_EventRequest, _nimbus_EventResponse__Output>;
  processEvent(options?: grpc.CallOptions): grpc.ClientDuplexStream<_nimbus_EventRequest, _nimbus_EventResponse__Output>;
  
}

/**
 * Events of one client in, what became of them out, over one stream. The metadata `client_id` names the client.
 */
export interface NimbusServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Answers each event, in the order in which they came. A half-close loses no answer.
   */
  ProcessEvent: grpc.handleBidiStreamingCall<_nimbus_EventRequest__Output, _nimbus_EventResponse>;
  
}

export interface NimbusServiceDefinition extends grpc.ServiceDefinition {
  ProcessEvent: MethodDefinition<_nimbus_EventRequest, _nimbus_EventResponse, _nimbus_EventRequest__Output, _nimbus_EventResponse__Output>
}
