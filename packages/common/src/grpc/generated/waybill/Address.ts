// Original file: proto/mesh.proto


export interface Address {
  /**
   * host:port
   */
  'address'?: (string);
}

export interface Address__Output {
  /**
   * host:port
   */
  'address': (string);
}
