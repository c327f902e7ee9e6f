/**
 * The preload of the peers when telemetry is measured: the OpenTelemetry SDK with the instrumentations that its users
 * get for what these systems are made of. Standard `OTEL_*` variables configure it.
 */
import { getNodeAutoInstrumentations } from '@opentelemetry/auto-instrumentations-node';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { register as registerImportHooks } from 'import-in-the-middle/register-hooks.mjs';

process.env.OTEL_NODE_ENABLED_INSTRUMENTATIONS = 'http,amqplib,runtime-node';
// For what ESM imports; what CommonJS requires is patched without it.
registerImportHooks({ include: ['http', 'amqplib'] });
new NodeSDK({ instrumentations: getNodeAutoInstrumentations() }).start();
