import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { DataBatch as _dataset_service_DataBatch, DataBatch__Output as _dataset_service_DataBatch__Output } from './dataset_service/DataBatch.ts';
import type { DatasetInfo as _dataset_service_DatasetInfo, DatasetInfo__Output as _dataset_service_DatasetInfo__Output } from './dataset_service/DatasetInfo.ts';
import type { DatasetServiceClient as _dataset_service_DatasetServiceClient, DatasetServiceDefinition as _dataset_service_DatasetServiceDefinition } from './dataset_service/DatasetService.ts';
import type { GetBatchRequest as _dataset_service_GetBatchRequest, GetBatchRequest__Output as _dataset_service_GetBatchRequest__Output } from './dataset_service/GetBatchRequest.ts';
import type { GetDatasetInfoRequest as _dataset_service_GetDatasetInfoRequest, GetDatasetInfoRequest__Output as _dataset_service_GetDatasetInfoRequest__Output } from './dataset_service/GetDatasetInfoRequest.ts';
import type { HealthCheckRequest as _dataset_service_HealthCheckRequest, HealthCheckRequest__Output as _dataset_service_HealthCheckRequest__Output } from './dataset_service/HealthCheckRequest.ts';
import type { HealthCheckResponse as _dataset_service_HealthCheckResponse, HealthCheckResponse__Output as _dataset_service_HealthCheckResponse__Output } from './dataset_service/HealthCheckResponse.ts';
import type { StreamBatchesRequest as _dataset_service_StreamBatchesRequest, StreamBatchesRequest__Output as _dataset_service_StreamBatchesRequest__Output } from './dataset_service/StreamBatchesRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  dataset_service: {
    DataBatch: MessageTypeDefinition<_dataset_service_DataBatch, _dataset_service_DataBatch__Output>
    DatasetInfo: MessageTypeDefinition<_dataset_service_DatasetInfo, _dataset_service_DatasetInfo__Output>
    DatasetService: SubtypeConstructor<typeof grpc.Client, _dataset_service_DatasetServiceClient> & { service: _dataset_service_DatasetServiceDefinition }
    GetBatchRequest: MessageTypeDefinition<_dataset_service_GetBatchRequest, _dataset_service_GetBatchRequest__Output>
    GetDatasetInfoRequest: MessageTypeDefinition<_dataset_service_GetDatasetInfoRequest, _dataset_service_GetDatasetInfoRequest__Output>
    HealthCheckRequest: MessageTypeDefinition<_dataset_service_HealthCheckRequest, _dataset_service_HealthCheckRequest__Output>
    HealthCheckResponse: MessageTypeDefinition<_dataset_service_HealthCheckResponse, _dataset_service_HealthCheckResponse__Output>
    StreamBatchesRequest: MessageTypeDefinition<_dataset_service_StreamBatchesRequest, _dataset_service_StreamBatchesRequest__Output>
  }
}

