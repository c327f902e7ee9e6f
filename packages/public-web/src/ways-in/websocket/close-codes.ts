/** Why a WebSocket is closed (RFC 6455, section 7.4.1, and IANA's registry). */
export const CLOSE = {
  /** A message that is no text. */
  unsupportedData: 1003,
  /** What `ws` closes by where a message comes in too many pieces. */
  tooManyPieces: 1008,
  /** And where one is too large. */
  tooLarge: 1009,
  /** This instance stops, and another one takes the client at once. */
  serviceRestart: 1012,
  /** The client has connected once more (of those for private use: 4000 to 4999). */
  takenOver: 4001,
} as const;
