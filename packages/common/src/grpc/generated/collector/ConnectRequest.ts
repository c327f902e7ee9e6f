// Original file: proto/collector.proto


export interface ConnectRequest {
  /**
   * Where the caller's site is called: host:port.
   */
  'address'?: (string);
  'namespaces'?: (string)[];
  'metadata'?: ({[key: string]: string});
}

export interface ConnectRequest__Output {
  /**
   * Where the caller's site is called: host:port.
   */
  'address': (string);
  'namespaces': (string)[];
  'metadata': ({[key: string]: string});
}
