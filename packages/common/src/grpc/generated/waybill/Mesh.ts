// Original file: proto/mesh.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Address as _waybill_Address, Address__Output as _waybill_Address__Output } from '../waybill/Address.ts';
import type { Connection as _waybill_Connection, Connection__Output as _waybill_Connection__Output } from '../waybill/Connection.ts';
import type { ConnectionId as _waybill_ConnectionId, ConnectionId__Output as _waybill_ConnectionId__Output } from '../waybill/ConnectionId.ts';
import type { DescribeRequest as _waybill_DescribeRequest, DescribeRequest__Output as _waybill_DescribeRequest__Output } from '../waybill/DescribeRequest.ts';
import type { Site as _waybill_Site, Site__Output as _waybill_Site__Output } from '../waybill/Site.ts';

export interface MeshClient extends grpc.Client {
  /**
   * Connects to the site at an address, and keeps it connected.
   */
  Connect(argument: _waybill_Address, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Connect(argument: _waybill_Address, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Connect(argument: _waybill_Address, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Connect(argument: _waybill_Address, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  /**
   * Connects to the site at an address, and keeps it connected.
   */
  connect(argument: _waybill_Address, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  connect(argument: _waybill_Address, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  connect(argument: _waybill_Address, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  connect(argument: _waybill_Address, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  
  /**
   * Who and where the site is, what it shares, and whom it is or was connected to.
   */
  Describe(argument: _waybill_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  Describe(argument: _waybill_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  Describe(argument: _waybill_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  Describe(argument: _waybill_DescribeRequest, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  /**
   * Who and where the site is, what it shares, and whom it is or was connected to.
   */
  describe(argument: _waybill_DescribeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  describe(argument: _waybill_DescribeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  describe(argument: _waybill_DescribeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  describe(argument: _waybill_DescribeRequest, callback: grpc.requestCallback<_waybill_Site__Output>): grpc.ClientUnaryCall;
  
  /**
   * Ends a connection for good.
   */
  Disconnect(argument: _waybill_ConnectionId, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Disconnect(argument: _waybill_ConnectionId, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Disconnect(argument: _waybill_ConnectionId, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  Disconnect(argument: _waybill_ConnectionId, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  /**
   * Ends a connection for good.
   */
  disconnect(argument: _waybill_ConnectionId, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  disconnect(argument: _waybill_ConnectionId, metadata: grpc.Metadata, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  disconnect(argument: _waybill_ConnectionId, options: grpc.CallOptions, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  disconnect(argument: _waybill_ConnectionId, callback: grpc.requestCallback<_waybill_Connection__Output>): grpc.ClientUnaryCall;
  
}

export interface MeshHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Connects to the site at an address, and keeps it connected.
   */
  Connect: grpc.handleUnaryCall<_waybill_Address__Output, _waybill_Connection>;
  
  /**
   * Who and where the site is, what it shares, and whom it is or was connected to.
   */
  Describe: grpc.handleUnaryCall<_waybill_DescribeRequest__Output, _waybill_Site>;
  
  /**
   * Ends a connection for good.
   */
  Disconnect: grpc.handleUnaryCall<_waybill_ConnectionId__Output, _waybill_Connection>;
  
}

export interface MeshDefinition extends grpc.ServiceDefinition {
  Connect: MethodDefinition<_waybill_Address, _waybill_Connection, _waybill_Address__Output, _waybill_Connection__Output>
  Describe: MethodDefinition<_waybill_DescribeRequest, _waybill_Site, _waybill_DescribeRequest__Output, _waybill_Site__Output>
  Disconnect: MethodDefinition<_waybill_ConnectionId, _waybill_Connection, _waybill_ConnectionId__Output, _waybill_Connection__Output>
}
