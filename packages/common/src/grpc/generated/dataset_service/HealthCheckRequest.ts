// Original file: proto/dataset_service.proto


export interface HealthCheckRequest {
}

export interface HealthCheckRequest__Output {
}
