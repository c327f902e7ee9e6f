// Original file: proto/data_dispatcher_service.proto


export interface HealthCheckResponse {
  /**
   * SERVING, or NOT_SERVING with the reason in `message`.
   */
  'status'?: (string);
  'message'?: (string);
}

export interface HealthCheckResponse__Output {
  /**
   * SERVING, or NOT_SERVING with the reason in `message`.
   */
  'status': (string);
  'message': (string);
}
