// Original file: proto/data_dispatcher_service.proto


export interface NewClientRequest {
  /**
   * Names the client; travels with every batch.
   */
  'client_id'?: (string);
  /**
   * The client's own queue. Declared durable if it does not exist.
   */
  'queue_name'?: (string);
  /**
   * The client's broker, one of those that the setting CLIENT_BROKERS allows.
   */
  'amqp_host'?: (string);
  /**
   * 0 means 5672.
   */
  'amqp_port'?: (number);
  'amqp_user'?: (string);
  'amqp_pass'?: (string);
}

export interface NewClientRequest__Output {
  /**
   * Names the client; travels with every batch.
   */
  'client_id': (string);
  /**
   * The client's own queue. Declared durable if it does not exist.
   */
  'queue_name': (string);
  /**
   * The client's broker, one of those that the setting CLIENT_BROKERS allows.
   */
  'amqp_host': (string);
  /**
   * 0 means 5672.
   */
  'amqp_port': (number);
  'amqp_user': (string);
  'amqp_pass': (string);
}
