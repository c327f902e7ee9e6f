// Original file: proto/dataset_service.proto


export interface DatasetInfo {
  'dataset_name'?: (string);
  'total_samples'?: (number);
  'sample_shape'?: (number)[];
  'data_type'?: (string);
  'is_available'?: (boolean);
}

export interface DatasetInfo__Output {
  'dataset_name': (string);
  'total_samples': (number);
  'sample_shape': (number)[];
  'data_type': (string);
  'is_available': (boolean);
}
