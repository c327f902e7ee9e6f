/**
 * The messages of `collector.CollectiveDispatcher` (`proto/collector.proto`), in the shape in which grpc-js reads and writes
 * them, so that no hop rebuilds one. `Any` is never looked into.
 */

/** `google.protobuf.Any`: the name of a type, and a message of that type. */
export type Any = { type_url: string; value: Uint8Array };

/** A service, as the registry of its types knows it. */
export type ServiceTypeRef = { namespace: string; service_name: string };

/** What became of a request. `details` may hold more under the names of {@link DETAILS}. */
export type Status = { code: number; message: string; details: Record<string, string> };

export type ServeRequest = {
  namespace: string;
  service: ServiceTypeRef | null;
  method_name: string;
  input: Any | null;
  execution_context: Record<string, string>;
};
export type ServeResponse = { status: Status; output: Any | null; executor_id: string };

export type ConnectRequest = { address: string; namespaces: string[]; metadata: Record<string, string> };
export type ConnectResponse = {
  status: Status;
  connection_id: string;
  shared_namespaces: string[];
  target_collector_id: string;
};

export type DispatchRequest = Omit<ServeRequest, 'execution_context'> & {
  target_collector_id: string;
  routing_hints: Record<string, string>;
};
export type DispatchResponse = { status: Status; output: Any | null; handled_by_collector_id: string };

/** The codes that a {@link Status} has; `details` tells more than they do. */
export const OK = 200;
export const BAD_REQUEST = 400;
export const NOT_FOUND = 404;
export const FAILED = 500;

/** What `details` of a status may hold. Others than Waybill pass it on, or leave it out. */
export const DETAILS = {
  /** Why, by the codes of problems: `not-accepted` and `too-large` provably did not run, `outcome-unknown` may have. */
  code: 'code',
  /** Between sites: those that were asked and have not run the method, separated by commas. */
  visited: 'waybill-visited',
} as const;

/** What `metadata` of a Connect may hold. Others than Waybill pass over it. */
export const METADATA = {
  /** The collector id of who sends it. */
  collectorId: 'collector_id',
  /** Ends a connection, in a Connect that shares nothing: `disconnect` for good, `shutdown` until its sender is back. */
  goodbye: 'waybill-goodbye',
} as const;

/** A status that is none of success. */
export function failure(code: number, message: string, details: Record<string, string> = {}): Status {
  return { code, message, details };
}

/** The answer to a call that nobody ran. */
export function refusal(status: Status): ServeResponse {
  return { status, output: null, executor_id: '' };
}

/** Characters of a namespace, a service or a method. Names are remembered, and sent on, so absurd ones must not be let in. */
const MAX_NAME_LENGTH = 255;

/** What is wrong with the names of a request for a method, as contract 5 words it and in its order; `undefined` when nothing. */
export function wrongField({
  namespace,
  service,
  method_name,
}: Pick<ServeRequest, 'namespace' | 'service' | 'method_name'>): string | undefined {
  return (
    wrongName('namespace', namespace) ??
    wrongName('service', service?.service_name) ??
    wrongName('method_name', method_name)
  );
}

function wrongName(field: string, name: string | undefined): string | undefined {
  if (!name) return `${field} is required`;
  return name.length > MAX_NAME_LENGTH ? `${field} is too long` : undefined;
}

/** `Service.Method`, as the contract's messages name a method. */
export function methodName({ service, method_name }: Pick<ServeRequest, 'service' | 'method_name'>): string {
  return `${service?.service_name}.${method_name}`;
}

/** What tells a method from every other: names may have dots, so that `A.B.C` can be two of them. */
export function methodKey({
  namespace,
  service,
  method_name,
}: Pick<ServeRequest, 'namespace' | 'service' | 'method_name'>): string {
  const name = service?.service_name ?? '';
  return `${namespace.length} ${name.length} ${namespace}${name}${method_name}`;
}

/**
 * Whether the site that answered with `status` provably did not run the method, and another site may. Beyond a 404, which comes
 * before any handler, it has to say so: that it does not accept the call, or that the call is more than it takes. What the
 * details of a success say is its own matter.
 */
export function hasNotRun({ code, details }: Status): boolean {
  const why = details[DETAILS.code];
  return (
    code === NOT_FOUND ||
    (code === FAILED && why === 'not-accepted') ||
    (code === BAD_REQUEST && why === 'too-large')
  );
}
