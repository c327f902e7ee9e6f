import { DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import { isolateGrpcTraces } from '@waybill/common/telemetry/edge-trace.ts';
import type { WayIn } from '../way-in.ts';
import { createGrpcApp, type GrpcAppOptions } from './grpc-app.ts';

/** Opens the public gRPC port, whose callers choose no trace of ours. */
export async function openGrpc(options: GrpcAppOptions): Promise<WayIn> {
  isolateGrpcTraces();
  const { port, close } = await createGrpcApp(options);
  return { port, drain: () => close(DRAIN_MS), close: () => close(0) };
}
