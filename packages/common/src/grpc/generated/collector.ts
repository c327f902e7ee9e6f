import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { CollectiveDispatcherClient as _collector_CollectiveDispatcherClient, CollectiveDispatcherDefinition as _collector_CollectiveDispatcherDefinition } from './collector/CollectiveDispatcher.ts';
import type { ConnectRequest as _collector_ConnectRequest, ConnectRequest__Output as _collector_ConnectRequest__Output } from './collector/ConnectRequest.ts';
import type { ConnectResponse as _collector_ConnectResponse, ConnectResponse__Output as _collector_ConnectResponse__Output } from './collector/ConnectResponse.ts';
import type { DispatchRequest as _collector_DispatchRequest, DispatchRequest__Output as _collector_DispatchRequest__Output } from './collector/DispatchRequest.ts';
import type { DispatchResponse as _collector_DispatchResponse, DispatchResponse__Output as _collector_DispatchResponse__Output } from './collector/DispatchResponse.ts';
import type { ServeRequest as _collector_ServeRequest, ServeRequest__Output as _collector_ServeRequest__Output } from './collector/ServeRequest.ts';
import type { ServeResponse as _collector_ServeResponse, ServeResponse__Output as _collector_ServeResponse__Output } from './collector/ServeResponse.ts';
import type { ServiceTypeRef as _collector_ServiceTypeRef, ServiceTypeRef__Output as _collector_ServiceTypeRef__Output } from './collector/ServiceTypeRef.ts';
import type { Status as _collector_Status, Status__Output as _collector_Status__Output } from './collector/Status.ts';
import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  collector: {
    CollectiveDispatcher: SubtypeConstructor<typeof grpc.Client, _collector_CollectiveDispatcherClient> & { service: _collector_CollectiveDispatcherDefinition }
    ConnectRequest: MessageTypeDefinition<_collector_ConnectRequest, _collector_ConnectRequest__Output>
    ConnectResponse: MessageTypeDefinition<_collector_ConnectResponse, _collector_ConnectResponse__Output>
    DispatchRequest: MessageTypeDefinition<_collector_DispatchRequest, _collector_DispatchRequest__Output>
    DispatchResponse: MessageTypeDefinition<_collector_DispatchResponse, _collector_DispatchResponse__Output>
    ServeRequest: MessageTypeDefinition<_collector_ServeRequest, _collector_ServeRequest__Output>
    ServeResponse: MessageTypeDefinition<_collector_ServeResponse, _collector_ServeResponse__Output>
    ServiceTypeRef: MessageTypeDefinition<_collector_ServiceTypeRef, _collector_ServiceTypeRef__Output>
    Status: MessageTypeDefinition<_collector_Status, _collector_Status__Output>
    StatusCode: EnumTypeDefinition
  }
  google: {
    protobuf: {
      Any: MessageTypeDefinition<_google_protobuf_Any, _google_protobuf_Any__Output>
    }
  }
}

