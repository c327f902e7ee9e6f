/** What one site serves itself: checks a call in the order of the contract, and runs its method. */
import { type AppError, type ErrorCode, toAppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import {
  type Any,
  BAD_REQUEST,
  DETAILS,
  FAILED,
  failure,
  methodKey,
  methodName,
  NOT_FOUND,
  OK,
  refusal,
  type ServeRequest,
  type ServeResponse,
  type ServiceTypeRef,
  type Status,
  wrongField,
} from './messages.ts';
import { askRegistry, type RegistryValidator } from './registry.ts';
import { timeLeft } from './time-left.ts';

/** How long a call may take, and when its caller has given it up. */
export type CallOptions = {
  /** How long the caller waits; it is answered by then. */
  deadlineMs: number;
  /** Aborts when the caller has gone. */
  signal?: AbortSignal;
};

/** One call of a method, as its handler sees it. */
export type MethodCall = CallOptions & {
  namespace: string;
  service: ServiceTypeRef;
  method: string;
  /** `null` when the caller sent none. */
  input: Any | null;
  /** What the caller said beside the input: the `execution_context` of a Serve, the `routing_hints` of a Dispatch. */
  executionContext: Readonly<Record<string, string>>;
};

/** Runs a method; returns its output. What it throws is told to the caller as `handler error: …`. */
export type MethodHandler = (call: MethodCall) => Any | null | Promise<Any | null>;

/**
 * Runs a method that no handler is registered for, within the deadline.
 *
 * @throws AppError `unroutable` when nobody serves it; `not-accepted`, or `too-large` for what is more than this site takes, when
 *   it provably did not run; `outcome-unknown` when it may have; what is the caller's fault by another code of 400 to 499; anything
 *   else is its failure.
 */
export type RunMethod = (call: MethodCall) => Promise<Any | null>;

export type Methods = {
  /** Has `handler` run the calls of a method from now on. */
  register(namespace: string, service: string, method: string, handler: MethodHandler): void;
  /** Asks `validator` from the next call on; `undefined` asks nobody. */
  setValidator(validator: RegistryValidator | undefined): void;
  /** Whether there is such a namespace here, though not each method in it. */
  hasNamespace(namespace: string): boolean;
  /** Runs a call here; never rejects. */
  serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
};

/** Creates the methods of the site `id`, whose own namespaces are `namespaces` and those of its handlers. */
export function createMethods({
  id,
  namespaces,
  validator,
  runMethod,
}: {
  id: string;
  namespaces(): readonly string[];
  validator: RegistryValidator | undefined;
  runMethod: RunMethod | undefined;
}): Methods {
  const handlers = new Map<string, MethodHandler>();
  const namespacesOfHandlers = new Set<string>();
  let validate = validator;

  const hasNamespace = (namespace: string) =>
    namespacesOfHandlers.has(namespace) || namespaces().includes(namespace);

  return {
    hasNamespace,
    setValidator(next) {
      validate = next;
    },
    register(namespace, service, method, handler) {
      namespacesOfHandlers.add(namespace);
      const ref = { namespace, service_name: service };
      handlers.set(methodKey({ namespace, service: ref, method_name: method }), handler);
    },
    async serve(request, options) {
      const wrong = wrongField(request);
      if (wrong !== undefined) return refusal(failure(BAD_REQUEST, wrong));
      const left = timeLeft(options);
      const unregistered = await askRegistry(validate, request, options.deadlineMs);
      if (unregistered) return refusal(unregistered);
      const { namespace } = request;
      if (!hasNamespace(namespace)) return refusal(failure(NOT_FOUND, `namespace '${namespace}' not found`));
      const handler = handlers.get(methodKey(request));
      const call = toCall(request, left());
      if (handler) return runHandler(handler, call);
      return runMethod ? runElsewhere(runMethod, request, call) : refusal(methodNotFound(request));
    },
  };

  async function runHandler(handler: MethodHandler, call: MethodCall): Promise<ServeResponse> {
    try {
      const result = handler(call);
      if (!result || !('then' in result)) return success(result);
      if (await within(call.deadlineMs, result)) return success(await result);
      return ended(failure(FAILED, 'the deadline passed', { [DETAILS.code]: 'outcome-unknown' }));
    } catch (thrown) {
      return ended(handlerError(toAppError(thrown)));
    }
  }

  async function runElsewhere(
    run: RunMethod,
    request: ServeRequest,
    call: MethodCall,
  ): Promise<ServeResponse> {
    try {
      return success(await run(call));
    } catch (thrown) {
      const error = toAppError(thrown);
      const { code, message } = error;
      if (code === 'unroutable') return refusal(methodNotFound(request));
      const details = { [DETAILS.code]: code };
      if (code === 'not-accepted') return refusal(failure(FAILED, message, details));
      if (code === 'outcome-unknown') return ended(failure(FAILED, message, details));
      if (error.status < 500) return refusal(failure(BAD_REQUEST, message, details));
      return ended(handlerError(error));
    }
  }

  function success(output: Any | null): ServeResponse {
    return { status: { code: OK, message: 'OK', details: {} }, output, executor_id: id };
  }

  /** It ran here, or may have. */
  function ended(status: Status): ServeResponse {
    return { status, output: null, executor_id: id };
  }
}

function methodNotFound(request: ServeRequest): Status {
  return failure(NOT_FOUND, `method '${methodName(request)}' not found in namespace '${request.namespace}'`);
}

/** Whether a call has run is for the site to say, and not for a handler: by then it has. */
const SAID_BY_SITES: ReadonlySet<ErrorCode> = new Set(['not-accepted', 'outcome-unknown', 'too-large']);

function handlerError({ code, message }: AppError): Status {
  const told = SAID_BY_SITES.has(code) ? 'handler-failed' : code;
  return failure(FAILED, `handler error: ${message}`, { [DETAILS.code]: told });
}

function toCall(request: ServeRequest, options: CallOptions): MethodCall {
  const { namespace, service, method_name: method, input, execution_context: executionContext } = request;
  return { namespace, service: service as ServiceTypeRef, method, input, executionContext, ...options };
}
