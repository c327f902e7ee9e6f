import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { EventRequest as _nimbus_EventRequest, EventRequest__Output as _nimbus_EventRequest__Output } from './nimbus/EventRequest.ts';
import type { EventResponse as _nimbus_EventResponse, EventResponse__Output as _nimbus_EventResponse__Output } from './nimbus/EventResponse.ts';
import type { NimbusServiceClient as _nimbus_NimbusServiceClient, NimbusServiceDefinition as _nimbus_NimbusServiceDefinition } from './nimbus/NimbusService.ts';
import type { Problem as _nimbus_Problem, Problem__Output as _nimbus_Problem__Output } from './nimbus/Problem.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  nimbus: {
    EventRequest: MessageTypeDefinition<_nimbus_EventRequest, _nimbus_EventRequest__Output>
    EventResponse: MessageTypeDefinition<_nimbus_EventResponse, _nimbus_EventResponse__Output>
    /**
     * Events of one client in, what became of them out, over one stream. The metadata `client_id` names the client.
     */
    NimbusService: SubtypeConstructor<typeof grpc.Client, _nimbus_NimbusServiceClient> & { service: _nimbus_NimbusServiceDefinition }
    Problem: MessageTypeDefinition<_nimbus_Problem, _nimbus_Problem__Output>
  }
}

