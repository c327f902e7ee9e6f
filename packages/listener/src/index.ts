/** The front door: what a listener is written, run and tested with. */
export { createListener, type Listener, type ListenerOptions } from './create-listener.ts';
export { describeTypes } from './describe-types.ts';
export {
  defineHandlers,
  type EventWith,
  type FurtherEvent,
  type Handler,
  type HandlerContext,
  type HandlerResult,
  type Handlers,
  type HandlerWithOptions,
  type NewEvent,
  type Observer,
  type ObserverResult,
  type Observers,
  type ObserverWithOptions,
  type Request,
  type RequestOptions,
  TerminalError,
} from './handler.ts';
export { jsonSchema } from './json-schema.ts';
export { type MeshCall, type MessageType, meshMethod } from './mesh-method.ts';
export { type OncePerEventOptions, oncePerEvent } from './once-per-event.ts';
export { Problem, type ProblemOptions } from './problem.ts';
export { RequestProblem } from './requests.ts';
export type { ResultStore } from './result-store.ts';
export { runListener } from './run-listener.ts';
export type { DataOf, Schema } from './schema.ts';
export { createStoredResults, type StoredResults, type StoredResultsOptions } from './stored-results.ts';
