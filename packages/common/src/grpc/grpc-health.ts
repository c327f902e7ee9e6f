/** `grpc.health.v1` of a server. */
import { type Server, ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

/** How often health is brought up to date. */
const HEALTH_INTERVAL_MS = 500;
const WATCH = '/grpc.health.v1.Health/Watch';

export type GrpcHealth = {
  /** To be the last of the server's interceptors. */
  interceptor: ServerInterceptor;
  addTo(server: Server): void;
  /** Says NOT_SERVING for good, and ends the calls that watch: a server that closes waits for those under way. */
  close(): void;
};

/** Creates the health of a server and of each of its `services`: SERVING as long as `isServing` says so. */
export function createGrpcHealth({
  services,
  isServing,
}: {
  services: readonly string[];
  isServing(): boolean;
}): GrpcHealth {
  const health = new HealthImplementation();
  const watching = new Set<ServerInterceptingCall>();
  let wasUp: boolean | undefined;
  function set(isUp: boolean): void {
    // Every setStatus is a message to those who watch, whether or not it changed.
    if (isUp === wasUp) return;
    wasUp = isUp;
    for (const name of ['', ...services]) health.setStatus(name, isUp ? 'SERVING' : 'NOT_SERVING');
  }
  set(isServing());
  const timer = setInterval(() => set(isServing()), HEALTH_INTERVAL_MS).unref();

  return {
    interceptor({ path }, next) {
      // As it is: a wrapped call sends its headers before the interceptors below may refuse its message.
      if (path !== WATCH) return next as ServerInterceptingCall;
      const onCancel = () => watching.delete(call);
      const call = new ServerInterceptingCall(next, { start: (listen) => listen({ onCancel }) });
      watching.add(call);
      return call;
    },
    addTo: (server) => health.addToServer(server),
    close() {
      clearInterval(timer);
      set(false);
      for (const call of watching) call.sendStatus({ code: status.OK, details: '' });
    },
  };
}
