#!/usr/bin/env node
/** Looks into the queue of dead letters, and replays or discards what is in it. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/dead-letters.ts');
