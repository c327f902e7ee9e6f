#!/usr/bin/env node
/** A client that sends numbers over one gRPC stream, and holds the results against what is promised. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/stream-client.ts');
