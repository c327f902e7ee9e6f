/**
 * The preload of a listener, for traces and metrics: `node --import @waybill/listener/telemetry main.js`. It is that of
 * every process of Waybill; the standard `OTEL_*` variables configure it, and without an endpoint it loads nothing.
 */
import '@waybill/common/telemetry';
