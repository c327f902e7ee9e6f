// Original file: proto/dataset_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DataBatch as _dataset_service_DataBatch, DataBatch__Output as _dataset_service_DataBatch__Output } from '../dataset_service/DataBatch.ts';
import type { DatasetInfo as _dataset_service_DatasetInfo, DatasetInfo__Output as _dataset_service_DatasetInfo__Output } from '../dataset_service/DatasetInfo.ts';
import type { GetBatchRequest as _dataset_service_GetBatchRequest, GetBatchRequest__Output as _dataset_service_GetBatchRequest__Output } from '../dataset_service/GetBatchRequest.ts';
import type { GetDatasetInfoRequest as _dataset_service_GetDatasetInfoRequest, GetDatasetInfoRequest__Output as _dataset_service_GetDatasetInfoRequest__Output } from '../dataset_service/GetDatasetInfoRequest.ts';
import type { HealthCheckRequest as _dataset_service_HealthCheckRequest, HealthCheckRequest__Output as _dataset_service_HealthCheckRequest__Output } from '../dataset_service/HealthCheckRequest.ts';
import type { HealthCheckResponse as _dataset_service_HealthCheckResponse, HealthCheckResponse__Output as _dataset_service_HealthCheckResponse__Output } from '../dataset_service/HealthCheckResponse.ts';
import type { StreamBatchesRequest as _dataset_service_StreamBatchesRequest, StreamBatchesRequest__Output as _dataset_service_StreamBatchesRequest__Output } from '../dataset_service/StreamBatchesRequest.ts';

export interface DatasetServiceClient extends grpc.Client {
  /**
   * One batch. NOT_FOUND `Dataset not found`, OUT_OF_RANGE `Batch index out of range`.
   */
  GetBatch(argument: _dataset_service_GetBatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  GetBatch(argument: _dataset_service_GetBatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  GetBatch(argument: _dataset_service_GetBatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  GetBatch(argument: _dataset_service_GetBatchRequest, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  /**
   * One batch. NOT_FOUND `Dataset not found`, OUT_OF_RANGE `Batch index out of range`.
   */
  getBatch(argument: _dataset_service_GetBatchRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  getBatch(argument: _dataset_service_GetBatchRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  getBatch(argument: _dataset_service_GetBatchRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  getBatch(argument: _dataset_service_GetBatchRequest, callback: grpc.requestCallback<_dataset_service_DataBatch__Output>): grpc.ClientUnaryCall;
  
  GetDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  GetDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  GetDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  GetDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  getDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  getDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  getDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  getDatasetInfo(argument: _dataset_service_GetDatasetInfoRequest, callback: grpc.requestCallback<_dataset_service_DatasetInfo__Output>): grpc.ClientUnaryCall;
  
  HealthCheck(argument: _dataset_service_HealthCheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _dataset_service_HealthCheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _dataset_service_HealthCheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  HealthCheck(argument: _dataset_service_HealthCheckRequest, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _dataset_service_HealthCheckRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _dataset_service_HealthCheckRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _dataset_service_HealthCheckRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  healthCheck(argument: _dataset_service_HealthCheckRequest, callback: grpc.requestCallback<_dataset_service_HealthCheckResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Every batch of a dataset, in order.
   */
  StreamBatches(argument: _dataset_service_StreamBatchesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_dataset_service_DataBatch__Output>;
  StreamBatches(argument: _dataset_service_StreamBatchesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_dataset_service_DataBatch__Output>;
  /**
   * Every batch of a dataset, in order.
   */
  streamBatches(argument: _dataset_service_StreamBatchesRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_dataset_service_DataBatch__Output>;
  streamBatches(argument: _dataset_service_StreamBatchesRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_dataset_service_DataBatch__Output>;
  
}

export interface DatasetServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * One batch. NOT_FOUND `Dataset not found`, OUT_OF_RANGE `Batch index out of range`.
   */
  GetBatch: grpc.handleUnaryCall<_dataset_service_GetBatchRequest__Output, _dataset_service_DataBatch>;
  
  GetDatasetInfo: grpc.handleUnaryCall<_dataset_service_GetDatasetInfoRequest__Output, _dataset_service_DatasetInfo>;
  
  HealthCheck: grpc.handleUnaryCall<_dataset_service_HealthCheckRequest__Output, _dataset_service_HealthCheckResponse>;
  
  /**
   * Every batch of a dataset, in order.
   */
  StreamBatches: grpc.handleServerStreamingCall<_dataset_service_StreamBatchesRequest__Output, _dataset_service_DataBatch>;
  
}

export interface DatasetServiceDefinition extends grpc.ServiceDefinition {
  GetBatch: MethodDefinition<_dataset_service_GetBatchRequest, _dataset_service_DataBatch, _dataset_service_GetBatchRequest__Output, _dataset_service_DataBatch__Output>
  GetDatasetInfo: MethodDefinition<_dataset_service_GetDatasetInfoRequest, _dataset_service_DatasetInfo, _dataset_service_GetDatasetInfoRequest__Output, _dataset_service_DatasetInfo__Output>
  HealthCheck: MethodDefinition<_dataset_service_HealthCheckRequest, _dataset_service_HealthCheckResponse, _dataset_service_HealthCheckRequest__Output, _dataset_service_HealthCheckResponse__Output>
  StreamBatches: MethodDefinition<_dataset_service_StreamBatchesRequest, _dataset_service_DataBatch, _dataset_service_StreamBatchesRequest__Output, _dataset_service_DataBatch__Output>
}
