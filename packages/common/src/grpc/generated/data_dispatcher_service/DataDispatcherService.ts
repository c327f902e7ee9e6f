// Original file: proto/data_dispatcher_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { HealthCheckRequest as _data_dispatcher_service_HealthCheckRequest, HealthCheckRequest__Output as _data_dispatcher_service_HealthCheckRequest__Output } from '../data_dispatcher_service/HealthCheckRequest.ts';
import type { HealthCheckResponse as _data_dispatcher_service_HealthCheckResponse, HealthCheckResponse__Output as _data_dispatcher_service_HealthCheckResponse__Output } from '../data_dispatcher_service/HealthCheckResponse.ts';
import type { NewClientRequest as _data_dispatcher_service_NewClientRequest, NewClientRequest__Output as _data_dispatcher_service_NewClientRequest__Output } from '../data_dispatcher_service/NewClientRequest.ts';
import type { NewClientResponse as _data_dispatcher_service_NewClientResponse, NewClientResponse__Output as _data_dispatcher_service_NewClientResponse__Output } from '../data_dispatcher_service/NewClientResponse.ts';

export interface DataDispatcherServiceClient extends grpc.Client {
  HealthCheck(argument: _data_dispatcher_service_HealthCheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _data_dispatcher_service_HealthCheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _data_dispatcher_service_HealthCheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _data_dispatcher_service_HealthCheckRequest, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _data_dispatcher_service_HealthCheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _data_dispatcher_service_HealthCheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _data_dispatcher_service_HealthCheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _data_dispatcher_service_HealthCheckRequest, callback: grpc.requestCallback<_data_dispatcher_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Answers as soon as the request is accepted; the dataset follows. The gRPC status is OK in every case, and
   * `status` tells: OK, or ERROR with the reason in `message`.
   */
  NotifyNewClient(argument: _data_dispatcher_service_NewClientRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  NotifyNewClient(argument: _data_dispatcher_service_NewClientRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  NotifyNewClient(argument: _data_dispatcher_service_NewClientRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  NotifyNewClient(argument: _data_dispatcher_service_NewClientRequest, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Answers as soon as the request is accepted; the dataset follows. The gRPC status is OK in every case, and
   * `status` tells: OK, or ERROR with the reason in `message`.
   */
  notifyNewClient(argument: _data_dispatcher_service_NewClientRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  notifyNewClient(argument: _data_dispatcher_service_NewClientRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  notifyNewClient(argument: _data_dispatcher_service_NewClientRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  notifyNewClient(argument: _data_dispatcher_service_NewClientRequest, callback: grpc.requestCallback<_data_dispatcher_service_NewClientResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface DataDispatcherServiceHandlers extends grpc.UntypedServiceImplementation {
  HealthCheck: grpc.handleUnaryCall<_data_dispatcher_service_HealthCheckRequest__Output, _data_dispatcher_service_HealthCheckResponse>;
  
  /**
   * Answers as soon as the request is accepted; the dataset follows. The gRPC status is OK in every case, and
   * `status` tells: OK, or ERROR with the reason in `message`.
   */
  NotifyNewClient: grpc.handleUnaryCall<_data_dispatcher_service_NewClientRequest__Output, _data_dispatcher_service_NewClientResponse>;
  
}

export interface DataDispatcherServiceDefinition extends grpc.ServiceDefinition {
  HealthCheck: MethodDefinition<_data_dispatcher_service_HealthCheckRequest, _data_dispatcher_service_HealthCheckResponse, _data_dispatcher_service_HealthCheckRequest__Output, _data_dispatcher_service_HealthCheckResponse__Output>
  NotifyNewClient: MethodDefinition<_data_dispatcher_service_NewClientRequest, _data_dispatcher_service_NewClientResponse, _data_dispatcher_service_NewClientRequest__Output, _data_dispatcher_service_NewClientResponse__Output>
}
