/** The head of the document behind `GET /openapi.json` and `/docs`; each route has its own description. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { sharedSchemas } from './event-schemas.ts';

export const openapi: FastifyDynamicSwaggerOptions['openapi'] = {
  openapi: '3.1.0',
  info: {
    title: 'Waybill',
    version: '0.1.0',
    description: 'Events in, replies out. Internal ports are not part of this.',
  },
  servers: [{ url: '/', description: 'Where this document comes from' }],
  components: {
    schemas: sharedSchemas,
    securitySchemes: {
      bearer: {
        type: 'http',
        scheme: 'bearer',
        description: 'An API key or a JWT, where the settings API_KEYS or JWT_JWKS_URL ask for one',
      },
      header: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same' },
    },
  },
  security: [{}, { bearer: [] }, { header: [] }],
};
