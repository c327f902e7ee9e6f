// Original file: proto/data_dispatcher_service.proto


export interface NewClientResponse {
  'status'?: (string);
  'message'?: (string);
}

export interface NewClientResponse__Output {
  'status': (string);
  'message': (string);
}
