// Original file: proto/mesh.proto

import type { Long } from '@grpc/proto-loader';

export interface Connection {
  'connection_id'?: (string);
  /**
   * Who asked for it: `outbound` the site itself, or both, `inbound` its peer alone.
   */
  'direction'?: (string);
  'address'?: (string);
  /**
   * Empty while it is not known.
   */
  'peer_id'?: (string);
  /**
   * In the caller's order.
   */
  'shared_namespaces'?: (string)[];
  /**
   * ACTIVE, DISCONNECTED, FAILED or STALE.
   */
  'status'?: (string);
  /**
   * RFC 3339.
   */
  'connected_at'?: (string);
  /**
   * RFC 3339; empty while it is active.
   */
  'ended_at'?: (string);
  /**
   * Why it ended.
   */
  'reason'?: (string);
  /**
   * Sent to the peer.
   */
  'calls'?: (number | string | Long);
  'failed_calls'?: (number | string | Long);
  'bytes_sent'?: (number | string | Long);
  'bytes_received'?: (number | string | Long);
}

export interface Connection__Output {
  'connection_id': (string);
  /**
   * Who asked for it: `outbound` the site itself, or both, `inbound` its peer alone.
   */
  'direction': (string);
  'address': (string);
  /**
   * Empty while it is not known.
   */
  'peer_id': (string);
  /**
   * In the caller's order.
   */
  'shared_namespaces': (string)[];
  /**
   * ACTIVE, DISCONNECTED, FAILED or STALE.
   */
  'status': (string);
  /**
   * RFC 3339.
   */
  'connected_at': (string);
  /**
   * RFC 3339; empty while it is active.
   */
  'ended_at': (string);
  /**
   * Why it ended.
   */
  'reason': (string);
  /**
   * Sent to the peer.
   */
  'calls': (number);
  'failed_calls': (number);
  'bytes_sent': (number);
  'bytes_received': (number);
}
