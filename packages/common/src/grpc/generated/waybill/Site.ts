// Original file: proto/mesh.proto

import type { Connection as _waybill_Connection, Connection__Output as _waybill_Connection__Output } from '../waybill/Connection.ts';

export interface Site {
  'id'?: (string);
  /**
   * Where peers call it: host:port.
   */
  'address'?: (string);
  /**
   * Those that it shares with peers.
   */
  'namespaces'?: (string)[];
  /**
   * The oldest first.
   */
  'connections'?: (_waybill_Connection)[];
}

export interface Site__Output {
  'id': (string);
  /**
   * Where peers call it: host:port.
   */
  'address': (string);
  /**
   * Those that it shares with peers.
   */
  'namespaces': (string)[];
  /**
   * The oldest first.
   */
  'connections': (_waybill_Connection__Output)[];
}
