// Original file: proto/collector.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ConnectRequest as _collector_ConnectRequest, ConnectRequest__Output as _collector_ConnectRequest__Output } from '../collector/ConnectRequest.ts';
import type { ConnectResponse as _collector_ConnectResponse, ConnectResponse__Output as _collector_ConnectResponse__Output } from '../collector/ConnectResponse.ts';
import type { DispatchRequest as _collector_DispatchRequest, DispatchRequest__Output as _collector_DispatchRequest__Output } from '../collector/DispatchRequest.ts';
import type { DispatchResponse as _collector_DispatchResponse, DispatchResponse__Output as _collector_DispatchResponse__Output } from '../collector/DispatchResponse.ts';
import type { ServeRequest as _collector_ServeRequest, ServeRequest__Output as _collector_ServeRequest__Output } from '../collector/ServeRequest.ts';
import type { ServeResponse as _collector_ServeResponse, ServeResponse__Output as _collector_ServeResponse__Output } from '../collector/ServeResponse.ts';

export interface CollectiveDispatcherClient extends grpc.Client {
  /**
   * Connects the caller's site and this one: from then on each may call the other.
   */
  Connect(argument: _collector_ConnectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  Connect(argument: _collector_ConnectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  Connect(argument: _collector_ConnectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  Connect(argument: _collector_ConnectRequest, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Connects the caller's site and this one: from then on each may call the other.
   */
  connect(argument: _collector_ConnectRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  connect(argument: _collector_ConnectRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  connect(argument: _collector_ConnectRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  connect(argument: _collector_ConnectRequest, callback: grpc.requestCallback<_collector_ConnectResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Runs a method at whichever site serves it.
   */
  Dispatch(argument: _collector_DispatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  Dispatch(argument: _collector_DispatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  Dispatch(argument: _collector_DispatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  Dispatch(argument: _collector_DispatchRequest, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Runs a method at whichever site serves it.
   */
  dispatch(argument: _collector_DispatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  dispatch(argument: _collector_DispatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  dispatch(argument: _collector_DispatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  dispatch(argument: _collector_DispatchRequest, callback: grpc.requestCallback<_collector_DispatchResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Runs a method at this site.
   */
  Serve(argument: _collector_ServeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  Serve(argument: _collector_ServeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  Serve(argument: _collector_ServeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  Serve(argument: _collector_ServeRequest, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Runs a method at this site.
   */
  serve(argument: _collector_ServeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  serve(argument: _collector_ServeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  serve(argument: _collector_ServeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  serve(argument: _collector_ServeRequest, callback: grpc.requestCallback<_collector_ServeResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface CollectiveDispatcherHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Connects the caller's site and this one: from then on each may call the other.
   */
  Connect: grpc.handleUnaryCall<_collector_ConnectRequest__Output, _collector_ConnectResponse>;
  
  /**
   * Runs a method at whichever site serves it.
   */
  Dispatch: grpc.handleUnaryCall<_collector_DispatchRequest__Output, _collector_DispatchResponse>;
  
  /**
   * Runs a method at this site.
   */
  Serve: grpc.handleUnaryCall<_collector_ServeRequest__Output, _collector_ServeResponse>;
  
}

export interface CollectiveDispatcherDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_collector_ConnectRequest, _collector_ConnectResponse, _collector_ConnectRequest__Output, _collector_ConnectResponse__Output>
  Dispatch: MethodDefinition<_collector_DispatchRequest, _collector_DispatchResponse, _collector_DispatchRequest__Output, _collector_DispatchResponse__Output>
  Serve: MethodDefinition<_collector_ServeRequest, _collector_ServeResponse, _collector_ServeRequest__Output, _collector_ServeResponse__Output>
}
