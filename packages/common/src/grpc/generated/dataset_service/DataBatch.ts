// Original file: proto/dataset_service.proto


export interface DataBatch {
  /**
   * The samples, one after the other, as `data_type` of the dataset's info says, little-endian.
   */
  'data'?: (Buffer | Uint8Array | string);
  'batch_index'?: (number);
  'is_last_batch'?: (boolean);
}

export interface DataBatch__Output {
  /**
   * The samples, one after the other, as `data_type` of the dataset's info says, little-endian.
   */
  'data': (Buffer);
  'batch_index': (number);
  'is_last_batch': (boolean);
}
