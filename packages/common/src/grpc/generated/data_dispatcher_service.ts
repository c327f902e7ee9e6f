import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { DataDispatcherServiceClient as _data_dispatcher_service_DataDispatcherServiceClient, DataDispatcherServiceDefinition as _data_dispatcher_service_DataDispatcherServiceDefinition } from './data_dispatcher_service/DataDispatcherService.ts';
import type { HealthCheckRequest as _data_dispatcher_service_HealthCheckRequest, HealthCheckRequest__Output as _data_dispatcher_service_HealthCheckRequest__Output } from './data_dispatcher_service/HealthCheckRequest.ts';
import type { HealthCheckResponse as _data_dispatcher_service_HealthCheckResponse, HealthCheckResponse__Output as _data_dispatcher_service_HealthCheckResponse__Output } from './data_dispatcher_service/HealthCheckResponse.ts';
import type { NewClientRequest as _data_dispatcher_service_NewClientRequest, NewClientRequest__Output as _data_dispatcher_service_NewClientRequest__Output } from './data_dispatcher_service/NewClientRequest.ts';
import type { NewClientResponse as _data_dispatcher_service_NewClientResponse, NewClientResponse__Output as _data_dispatcher_service_NewClientResponse__Output } from './data_dispatcher_service/NewClientResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  data_dispatcher_service: {
    DataDispatcherService: SubtypeConstructor<typeof grpc.Client, _data_dispatcher_service_DataDispatcherServiceClient> & { service: _data_dispatcher_service_DataDispatcherServiceDefinition }
    HealthCheckRequest: MessageTypeDefinition<_data_dispatcher_service_HealthCheckRequest, _data_dispatcher_service_HealthCheckRequest__Output>
    HealthCheckResponse: MessageTypeDefinition<_data_dispatcher_service_HealthCheckResponse, _data_dispatcher_service_HealthCheckResponse__Output>
    NewClientRequest: MessageTypeDefinition<_data_dispatcher_service_NewClientRequest, _data_dispatcher_service_NewClientRequest__Output>
    NewClientResponse: MessageTypeDefinition<_data_dispatcher_service_NewClientResponse, _data_dispatcher_service_NewClientResponse__Output>
  }
}

