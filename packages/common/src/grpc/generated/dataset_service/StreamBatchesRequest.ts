// Original file: proto/dataset_service.proto


export interface StreamBatchesRequest {
  'dataset_name'?: (string);
  'batch_size'?: (number);
  /**
   * Whether the samples come in another order; always the same one for a dataset (setting SHUFFLE_SEED).
   */
  'shuffle'?: (boolean);
  /**
   * 0 means all.
   */
  'max_batches'?: (number);
}

export interface StreamBatchesRequest__Output {
  'dataset_name': (string);
  'batch_size': (number);
  /**
   * Whether the samples come in another order; always the same one for a dataset (setting SHUFFLE_SEED).
   */
  'shuffle': (boolean);
  /**
   * 0 means all.
   */
  'max_batches': (number);
}
