// Original file: proto/mesh.proto


export interface ConnectionId {
  'connection_id'?: (string);
}

export interface ConnectionId__Output {
  'connection_id': (string);
}
