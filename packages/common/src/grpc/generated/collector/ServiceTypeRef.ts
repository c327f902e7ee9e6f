// Original file: proto/collector.proto


export interface ServiceTypeRef {
  'namespace'?: (string);
  'service_name'?: (string);
}

export interface ServiceTypeRef__Output {
  'namespace': (string);
  'service_name': (string);
}
