/** The program that `edge-trace.test.ts` runs under the preload: a gRPC server, of the public or of an inner tier. */
import { pino } from 'pino';
import type { DataDispatcherServiceHandlers } from '../grpc/generated/data_dispatcher_service/DataDispatcherService.ts';
import { createGrpcServer } from '../grpc/grpc-server.ts';
import { loadProto } from '../grpc/proto.ts';
import { isolateGrpcTraces, linkInboundGrpcTrace } from './edge-trace.ts';
import { shutdownTelemetry } from './shutdown-telemetry.ts';

if (process.argv[2] === 'public') isolateGrpcTraces();

const answer: DataDispatcherServiceHandlers['HealthCheck'] = (_call, callback) => {
  linkInboundGrpcTrace();
  callback(null, { status: 'SERVING' });
};

const { port } = await createGrpcServer({
  services: [
    {
      definition: loadProto('data_dispatcher_service.proto'),
      name: 'data_dispatcher_service.DataDispatcherService',
      implementation: { NotifyNewClient: answer, HealthCheck: answer },
    },
  ],
  host: '127.0.0.1',
  port: 0,
  isServing: () => true,
  maxReceiveBytes: 1024,
  log: pino({ level: 'silent' }),
});
process.on('disconnect', () => process.exit(0));
process.once('SIGTERM', async () => {
  await shutdownTelemetry();
  process.exit(0);
});
process.send?.(port);
