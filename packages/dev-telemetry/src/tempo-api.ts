import { AppError } from '@waybill/common/errors.ts';
import type { FastifyInstance } from 'fastify';
import type { TraceStore } from './store.ts';

/**
 * Adds `GET /api/v2/traces/{id}` as Tempo 3 answers it: spans by resource and scope in protobuf JSON; leading zeros of
 * the id may be missing; an unknown trace is 200 and empty, a malformed id 400.
 */
export function addTempoRoutes(app: FastifyInstance, { store }: { store: TraceStore }): void {
  app.get<{ Params: { id: string } }>('/api/v2/traces/:id', async ({ params }) => {
    const resourceSpans = store.read(toTraceId(params.id), 'spans');
    return { trace: resourceSpans.length === 0 ? {} : { resourceSpans }, metrics: {} };
  });
}

function toTraceId(text: string): string {
  if (/^[0-9a-f]{1,32}$/i.test(text)) return text.toLowerCase().padStart(32, '0');
  throw new AppError('invalid-request', 'a trace id has up to 32 hex digits');
}
