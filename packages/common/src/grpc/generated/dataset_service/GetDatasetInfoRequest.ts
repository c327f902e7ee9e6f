// Original file: proto/dataset_service.proto


export interface GetDatasetInfoRequest {
  'dataset_name'?: (string);
}

export interface GetDatasetInfoRequest__Output {
  'dataset_name': (string);
}
