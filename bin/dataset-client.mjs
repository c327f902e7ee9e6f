#!/usr/bin/env node
/** A client that asks for its dataset and holds what comes against what is promised. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/dataset-client.ts');
