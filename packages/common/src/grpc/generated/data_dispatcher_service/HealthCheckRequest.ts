// Original file: proto/data_dispatcher_service.proto


export interface HealthCheckRequest {
}

export interface HealthCheckRequest__Output {
}
