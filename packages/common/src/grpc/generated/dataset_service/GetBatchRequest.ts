// Original file: proto/dataset_service.proto


export interface GetBatchRequest {
  'dataset_name'?: (string);
  'batch_size'?: (number);
  /**
   * From 0.
   */
  'batch_index'?: (number);
}

export interface GetBatchRequest__Output {
  'dataset_name': (string);
  'batch_size': (number);
  /**
   * From 0.
   */
  'batch_index': (number);
}
