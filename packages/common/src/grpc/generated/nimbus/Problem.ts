// Original file: proto/nimbus.proto


/**
 * Why an event has no result, as HTTP would have answered it (RFC 9457).
 */
export interface Problem {
  'status'?: (number);
  'code'?: (string);
  'detail'?: (string);
}

/**
 * Why an event has no result, as HTTP would have answered it (RFC 9457).
 */
export interface Problem__Output {
  'status': (number);
  'code': (string);
  'detail': (string);
}
