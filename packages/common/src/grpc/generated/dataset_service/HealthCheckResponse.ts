// Original file: proto/dataset_service.proto


export interface HealthCheckResponse {
  'status'?: (string);
  'message'?: (string);
}

export interface HealthCheckResponse__Output {
  'status': (string);
  'message': (string);
}
