// Original file: proto/nimbus.proto


export interface EventRequest {
  /**
   * `sq`, in any case, squares the number.
   */
  'event_name'?: (string);
  'number'?: (number);
  /**
   * Of clients that show tokens: all up to this one has arrived, and need not be kept. Without a name there is no event.
   */
  'token'?: (string);
}

export interface EventRequest__Output {
  /**
   * `sq`, in any case, squares the number.
   */
  'event_name': (string);
  'number': (number);
  /**
   * Of clients that show tokens: all up to this one has arrived, and need not be kept. Without a name there is no event.
   */
  'token': (string);
}
