// Original file: proto/collector.proto

export const StatusCode = {
  STATUS_CODE_UNSPECIFIED: 0,
  OK: 200,
  BAD_REQUEST: 400,
  NOT_FOUND: 404,
  FAILED: 500,
} as const;

export type StatusCode =
  | 'STATUS_CODE_UNSPECIFIED'
  | 0
  | 'OK'
  | 200
  | 'BAD_REQUEST'
  | 400
  | 'NOT_FOUND'
  | 404
  | 'FAILED'
  | 500

export type StatusCode__Output = typeof StatusCode[keyof typeof StatusCode]
