/** The descriptions at `/openapi.json` and `/asyncapi.json`, and the page at `/docs` that shows the first. */
import fastifySwagger from '@fastify/swagger';
import fastifySwaggerUi from '@fastify/swagger-ui';
import type { TypeDescriptions } from '@waybill/common/event/type-descriptions.ts';
import type { FastifyInstance } from 'fastify';
import { asyncapi } from './asyncapi.ts';
import { withTypes } from './describe-types.ts';
import { openapi } from './openapi/document.ts';

/**
 * The page loads what comes from this server, and nobody shows it in a frame, where a visitor could be led to click on
 * "Execute". Swagger UI sets styles inline.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** Without the bar of Swagger's own. */
const THEME = '.swagger-ui .topbar { display: none }';

/** Describes the routes that are added to `app` from here on, and the types that clients may send. */
export async function addDocs(app: FastifyInstance, types: () => TypeDescriptions): Promise<void> {
  await app.register(fastifySwagger, { openapi });
  await app.register(async (docs) => {
    docs.addHook('onSend', (_request, reply, _payload, done) => {
      reply.headers(HEADERS);
      done();
    });
    await docs.register(fastifySwaggerUi, {
      routePrefix: '/docs',
      theme: { title: 'Waybill', css: [{ filename: 'theme.css', content: THEME }] },
      transformSpecification: (document) => withTypes(document, types()),
    });
    docs.get('/openapi.json', { schema: { hide: true } }, async () =>
      withTypes({ ...app.swagger() }, types()),
    );
    docs.get('/asyncapi.json', { schema: { hide: true } }, async () => asyncapi(types()));
  });
}
