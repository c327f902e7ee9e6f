#!/usr/bin/env node
/** `npm run demo`: starts the whole system, shows its main job once and stops it. */
import { runTypeScript } from './plain/run-typescript.mjs';

await runTypeScript('packages/tools/src/demo.ts');
