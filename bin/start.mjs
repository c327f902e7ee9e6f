#!/usr/bin/env node
/** `npm start`: the whole system on this machine. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/start.ts');
