import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Address as _waybill_Address, Address__Output as _waybill_Address__Output } from './waybill/Address.ts';
import type { Connection as _waybill_Connection, Connection__Output as _waybill_Connection__Output } from './waybill/Connection.ts';
import type { ConnectionId as _waybill_ConnectionId, ConnectionId__Output as _waybill_ConnectionId__Output } from './waybill/ConnectionId.ts';
import type { DescribeRequest as _waybill_DescribeRequest, DescribeRequest__Output as _waybill_DescribeRequest__Output } from './waybill/DescribeRequest.ts';
import type { MeshClient as _waybill_MeshClient, MeshDefinition as _waybill_MeshDefinition } from './waybill/Mesh.ts';
import type { Site as _waybill_Site, Site__Output as _waybill_Site__Output } from './waybill/Site.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  waybill: {
    Address: MessageTypeDefinition<_waybill_Address, _waybill_Address__Output>
    Connection: MessageTypeDefinition<_waybill_Connection, _waybill_Connection__Output>
    ConnectionId: MessageTypeDefinition<_waybill_ConnectionId, _waybill_ConnectionId__Output>
    DescribeRequest: MessageTypeDefinition<_waybill_DescribeRequest, _waybill_DescribeRequest__Output>
    Mesh: SubtypeConstructor<typeof grpc.Client, _waybill_MeshClient> & { service: _waybill_MeshDefinition }
    Site: MessageTypeDefinition<_waybill_Site, _waybill_Site__Output>
  }
}

